"""The heart of the checker: which measured signature stands for which mistake.

Read from top to bottom; the first rule whose signature fits an array names its mistake. (Where none
does: ``LAST`` in smaller.py.) The hints say what to look at.
"""
from typing import NamedTuple

import numpy as np

from . import additive, arrangement, local, probes, scaling, support, tensors


class Rule(NamedTuple):
    """``signature``: a function of the Evidence for one array that gives None, or the codes and the
    numbers that speak for them; ``codes``: what it may name ("(a size)": see ``scaling.named``);
    ``measured``: the signature in words."""
    signature: object
    codes: str
    measured: str


# what may be the same mistake to the numbers, and not to the text
ALIKE = (
    {"lost-branch", "overlap-overwritten", "repeated-index", "stale-cache"},
    {"missing-transpose", "wrong-reshape", "flipped-kernel"},
)
# what several mistakes look like: a change of the text that makes several arrays right knows better
SOFT = {
    tensors.other_tensor,
    additive.scale_free,
    additive.broken,
    support.part_missing,
    probes.mirrored,
}


def census(e):
    """How many entries are wrong, and in which slices of an axis, if not in all."""
    wrong = e.wrong()
    text = f"{int(wrong.sum())} of {int(np.sum(~np.isnan(e.G[0])))} entries are wrong"
    for axis in range(wrong.ndim):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        lines = wrong.any(axis=others)
        if lines.any() and not lines.all():
            text += f", only in slices {np.flatnonzero(lines).tolist()} of axis {axis}"
    return text


def repaired(e):
    """Experiment: with one place of backward's text changed it is right."""
    found = e.m.repairs.get(e.where)
    return found and (found.codes, census(e) if e.shaped else "")


RULES = [
    # sizes
    Rule(
        scaling.constant,
        "(a size) missing-local-derivative",
        "one constant everywhere: a sign, 2, 1/2, N, 1/N, 1/(1-p); or dout itself",
    ),
    # shapes and places
    Rule(
        arrangement.not_summed, "missing-batch-sum", "axes too many; summed over them it is right"
    ),
    Rule(
        additive.statistics,
        "constant-statistics",
        "wrong by a multiple of 1, x or y in each normalised group",
    ),
    Rule(
        arrangement.summed_too_far,
        "summed-too-far",
        "constant along an axis, and equal to the sum there",
    ),
    Rule(arrangement.transposed, "missing-transpose", "right with its axes in another order"),
    Rule(arrangement.flipped, "flipped-kernel", "right when reversed along an axis"),
    Rule(arrangement.reshaped, "wrong-reshape", "the right numbers in another order"),
    Rule(
        arrangement.rows_exchanged,
        "wrong-reshape",
        "the right rows of the Jacobian, for other outputs",
    ),
    Rule(arrangement.swapped_jacobian, "missing-transpose", "the Jacobian transposed"),
    Rule(
        additive.scale_free,
        "constant-statistics",
        "an invariance of a parameter that backward does not have",
    ),
    Rule(tensors.outer_named, "stale-cache", "an outer product with another cached array"),
    Rule(
        scaling.odd_constant,
        "wrong-local-derivative",
        "one constant everywhere that is no count of anything",
    ),
    # presence
    Rule(additive.samples_alone, "cross-sample", "samples coupled in forward, apart in backward"),
    Rule(
        support.mask_missing,
        "missing-mask",
        "right where it should not be zero, not zero where it should be",
    ),
    Rule(support.mask_inverted, "inverted-mask", "not zero exactly where it should be zero"),
    Rule(
        probes.steps_masked, "missing-mask lost-branch", "right once the mask given is 1 everywhere"
    ),
    Rule(
        support.part_missing,
        "lost-branch repeated-index overlap-overwritten missing-batch-sum",
        "right or zero: ids overwritten, windows overwritten, a path left out",
    ),
    # sums
    Rule(additive.penalty, "wrong-penalty", "wrong by a multiple of the parameter"),
    Rule(additive.label, "missing-label-subtraction", "wrong by a multiple of the one-hot labels"),
    Rule(additive.labels_ignored, "missing-label-subtraction", "the same whatever the labels"),
    Rule(additive.skip, "lost-branch", "wrong by dout itself"),
    # local derivatives
    Rule(local.term_lost, "lost-branch", "one term of a product rule"),
    Rule(tensors.other_tensor, "stale-cache", "another cached array as the factor"),
    Rule(tensors.scores_transposed, "missing-transpose", "attention's scores not transposed"),
    Rule(probes.symmetric, "missing-transpose", "right once a square weight is symmetric"),
    Rule(local.bare, "missing-local-derivative", "1 where the derivative should be"),
    Rule(local.unchanged, "missing-local-derivative", "dout as it came"),
    Rule(
        additive.broken,
        "constant-statistics",
        "an invariance of the forward that backward does not have",
    ),
    Rule(local.factor, "wrong-local-derivative", "f'(x) wrong"),
    Rule(scaling.partly_constant, "(a size)", "a telling constant in some slices: one gate's sign"),
    # experiments
    Rule(
        probes.mirrored,
        "missing-transpose flipped-kernel",
        "right once a kernel is its own mirror image",
    ),
    Rule(probes.distinct, "repeated-index", "right once no id repeats"),
    Rule(
        probes.one_token,
        "missing-transpose wrong-reshape constant-statistics",
        "right, or zero in truth, for one time step alone",
    ),
    Rule(probes.single_sample, "cross-sample", "wrong about a coupling of samples"),
    Rule(repaired, "(any)", "right with one place of backward's text changed"),
    # what is left fits these, too
    Rule(probes.same_inputs, "stale-cache", "right once two inputs are equal"),
    Rule(
        local.unit_factor,
        "missing-local-derivative wrong-local-derivative",
        "a factor per hidden unit",
    ),
    Rule(
        local.row_factor, "missing-local-derivative wrong-local-derivative", "a factor per output"
    ),
]

HINTS = {
    "nondeterministic": "two forwards gave two answers; draw random numbers from a generator in the buffers of a "
    "Layer (rewound for the check) or from a fixed seed, and keep no state from call to call",
    "uninformative": "every gradient is zero here, so this check tells nothing",
    "mutates-input": "work on a copy (out = x.copy()), or write out-of-place (x * mask); forward and backward "
    "leave what they are given as it is",
    "mutates-cache": "between forward and backward an output belongs to its layer, and an input to all that read it: write "
    "y = y * 3 instead of y *= 3, or work on a copy",
    "cross-sample": "the forward mixes the samples of a batch: is that meant? If so, backward must send gradient "
    "from each sample to all others; if not, look at the axis of the sum, mean or maximum in "
    "forward",
    "ignores-upstream": "every gradient is dout times something: multiply by dout where it is not yet used",
    "not-returned": "return the gradient of every input, in order: one array for one input, a tuple for several",
    "not-written": "write the gradient into the array that is there: self.grads[i][...] = dW",
    "rebound-grads": "overwrite in place, self.grads[i][...] = dW; a new list or a new array leaves optimizers "
    "with the old one",
    "accumulates": "overwrite, self.grads[i][...] = dW, instead of +=; or set the array to zero at the start of "
    "backward",
    "kink": "no mistake: the function has no derivative here and the two sides differ; backward's choice "
    "is one of the allowed ones",
    "precision": "no mistake in the formulas: in float64 they agree; the layer's own precision is too short "
    "here",
    "missing-batch-sum": "a parameter serves all samples and positions: sum its gradient over them, as in db = "
    "dout.sum(axis=0)",
    "missing-transpose": "check the shapes: dx = dout W^T, dW = x^T dout; a transpose is undone by the inverse order, "
    "np.argsort(axes)",
    "scaled-by-N": "the forward takes a mean: its backward divides by the same number",
    "divided-by-N": "divided once too often: if the loss is a mean, it has divided by N already; a parameter's "
    "gradient is a sum, not a mean",
    "wrong-sign": "look for a minus that was lost or is one too many: (y - t), not (t - y); d(a - b)/db = -1; "
    "d(1/x)/dx = -1/x²",
    "factor-2": "a factor 2 too many: d(½x²) = x; is the term added twice?",
    "factor-half": "a factor 2 is missing: d(x²) = 2x; a value used twice gets both gradients",
    "dropout-scale": "backward multiplies by the same mask and the same 1/(1-p) as forward, each once",
    "summed-too-far": "sum over the samples only: dout.sum(axis=0), not dout.sum(); keep the axes that the array "
    "itself has",
    "flipped-kernel": "compare the kernel's index in forward and backward: x[i + k] w[k] goes back as dx[i + k] += "
    "dout[i] w[k], with the same k",
    "wrong-reshape": "backward undoes forward's steps in reverse order: a transpose is undone by a transpose, a "
    "reshape by a reshape of the same order",
    "lost-branch": "a value that is used in several places gets the sum of all their gradients: += instead of =,"
    " every use, every time step",
    "wrong-penalty": "the penalty λ/2 ΣW² adds λW to the gradient (λ Σ|W| adds λ sign W), once, and only where the"
    " forward has it",
    "repeated-index": "dW[ids] = dout and dW[ids] += dout keep one of several equal ids; np.add.at(dW, ids, dout) "
    "adds them all",
    "missing-mask": "where forward cut the value off (ReLU, max, dropout, padding), backward passes nothing: "
    "multiply dout by the same mask",
    "inverted-mask": "the mask is the wrong way round: zero the gradient where the value did not pass",
    "missing-local-derivative": "dout was passed on as it came: multiply it by the derivative of this function, f'(x)",
    "wrong-local-derivative": "the structure is right, the derivative is not: derive f'(x) again, and mind whether it is "
    "written in x or in y",
    "constant-statistics": "mean, variance, norm or normaliser depend on x too: add the gradient's paths through them",
    "missing-label-subtraction": "softmax with cross-entropy goes back as y - t: subtract 1 at the label",
    "overlap-overwritten": "windows overlap, so an entry collects from several: dx[window] += ..., not =",
    "stale-cache": "look at which array backward reads: it is not the one that this step of this forward used",
    "unrecognised": "no known pattern: check the formula on paper at this entry, or compare with "
    "numerical_gradient step by step",
}

# Findings are sorted by this: what explains the others comes first.
ORDER = [
    "nondeterministic",
    "mutates-cache",
    "ignores-upstream",
    "missing-batch-sum",
    "summed-too-far",
    "missing-transpose",
    "flipped-kernel",
    "wrong-reshape",
    "constant-statistics",
    "cross-sample",
    "missing-label-subtraction",
    "repeated-index",
    "overlap-overwritten",
    "missing-mask",
    "inverted-mask",
    "dropout-scale",
    "wrong-sign",
    "factor-2",
    "factor-half",
    "scaled-by-N",
    "divided-by-N",
    "wrong-penalty",
    "missing-local-derivative",
    "stale-cache",
    "lost-branch",
    "wrong-local-derivative",
    "not-returned",
    "not-written",
    "mutates-input",
    "accumulates",
    "rebound-grads",
    "uninformative",
    "unrecognised",
    "kink",
    "precision",
]
