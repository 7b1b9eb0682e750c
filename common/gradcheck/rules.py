"""The codes of the mistakes, with what to look at; what explains the others comes first."""

HINTS = {
    "nondeterministic":
        "two forwards gave two answers; draw random numbers from a generator in the buffers of "
        "a Layer (rewound for the check) or from a fixed seed, and keep no state from call to "
        "call",
    "mutates-cache":
        "between forward and backward an output belongs to its layer, and an input to all that "
        "read it: write y = y * 3 instead of y *= 3, or work on a copy",
    "mutates-input":
        "work on a copy (out = x.copy()), or write out-of-place (x * mask); forward and "
        "backward leave what they are given as it is",
    "ignores-upstream":
        "every gradient is dout times something: multiply by dout where it is not yet used",
    "missing-batch-sum":
        "a parameter serves all samples and positions: sum its gradient over them, as in db = "
        "dout.sum(axis=0)",
    "summed-too-far":
        "sum over the samples only: dout.sum(axis=0), not dout.sum(); keep the axes that the "
        "array itself has",
    "missing-transpose":
        "check the shapes: dx = dout W^T, dW = x^T dout; a transpose is undone by the inverse "
        "order, np.argsort(axes)",
    "flipped-kernel":
        "compare the kernel's index in forward and backward: x[i + k] w[k] goes back as dx[i + "
        "k] += dout[i] w[k], with the same k",
    "wrong-reshape":
        "backward undoes forward's steps in reverse order: a transpose is undone by a "
        "transpose, a reshape by a reshape of the same order",
    "constant-statistics":
        "mean, variance, norm or normaliser depend on x too: add the gradient's paths through "
        "them",
    "cross-sample":
        "the forward mixes the samples of a batch: is that meant? If so, backward must send "
        "gradient from each sample to all others; if not, look at the axis of the sum, mean or "
        "maximum in forward",
    "missing-label-subtraction":
        "softmax with cross-entropy goes back as y - t: subtract 1 at the label",
    "repeated-index":
        "dW[ids] = dout and dW[ids] += dout keep one of several equal ids; np.add.at(dW, ids, "
        "dout) adds them all",
    "overlap-overwritten":
        "windows overlap, so an entry collects from several: dx[window] += ..., not =",
    "missing-mask":
        "where forward cut the value off (ReLU, max, dropout, padding), backward passes "
        "nothing: multiply dout by the same mask",
    "inverted-mask":
        "the mask is the wrong way round: zero the gradient where the value did not pass",
    "dropout-scale":
        "backward multiplies by the same mask and the same 1/(1-p) as forward, each once",
    "wrong-sign":
        "look for a minus that was lost or is one too many: (y - t), not (t - y); d(a - b)/db = "
        "-1; d(1/x)/dx = -1/x²",
    "factor-2": "a factor 2 too many: d(½x²) = x; is the term added twice?",
    "factor-half": "a factor 2 is missing: d(x²) = 2x; a value used twice gets both gradients",
    "scaled-by-N": "the forward takes a mean: its backward divides by the same number",
    "divided-by-N":
        "divided once too often: if the loss is a mean, it has divided by N already; a "
        "parameter's gradient is a sum, not a mean",
    "wrong-penalty":
        "the penalty λ/2 ΣW² adds λW to the gradient (λ Σ|W| adds λ sign W), once, and only "
        "where the forward has it",
    "missing-local-derivative":
        "dout was passed on as it came: multiply it by the derivative of this function, f'(x)",
    "stale-cache":
        "look at which array backward reads: it is not the one that this step of this forward "
        "used",
    "lost-branch":
        "a value that is used in several places gets the sum of all their gradients: += instead "
        "of =, every use, every time step",
    "wrong-local-derivative":
        "the structure is right, the derivative is not: derive f'(x) again, and mind whether it "
        "is written in x or in y",
    "not-returned":
        "return the gradient of every input, in order: one array for one input, a tuple for "
        "several",
    "not-written": "write the gradient into the array that is there: self.grads[i][...] = dW",
    "accumulates":
        "overwrite, self.grads[i][...] = dW, instead of +=; or set the array to zero at the "
        "start of backward",
    "rebound-grads":
        "overwrite in place, self.grads[i][...] = dW; a new list or a new array leaves "
        "optimizers with the old one",
    "uninformative": "every gradient is zero here, so this check tells nothing",
    "unrecognised":
        "no known pattern: check the formula on paper at this entry, or compare with "
        "numerical_gradient step by step",
    "kink":
        "no mistake: the function has no derivative here and the two sides differ; backward's "
        "choice is one of the allowed ones",
    "precision":
        "no mistake in the formulas: in float64 they agree; the layer's own precision is too "
        "short here",
}

ORDER = list(HINTS)  # findings are sorted by it
