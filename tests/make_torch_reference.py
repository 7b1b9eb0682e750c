"""What PyTorch computes, for tests that run without it: python -m tests.make_torch_reference [Affine ... optimizers]

Writes tests/layers/data/<class>.npz for every class of tests/layers/table.py (or those named), and
tests/optimizers/data/steps.npz. A new layer joins by one line in REFERENCE. Made with PyTorch 2.13.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim import lr_scheduler as S

from chainrule.optimizers import SGD
from tests.layers.table import CASES, TABLE
from tests.layers.test_parity import FOLDER, TOLERANCE, cast, compare, numbered, run, series
from tests.optimizers import test_parity as updates


def cross_entropy(layer, x, t, weight=None):
    ignore = {} if layer.ignore_label is None else {"ignore_index": layer.ignore_label}
    reduction = layer.reduction if weight is None else "none"
    losses = F.cross_entropy(x.movedim(-1, 1), t.movedim(-1, 1) if t.is_floating_point() else t, **ignore, reduction=reduction)
    return losses if weight is None else (weight * losses).sum() / weight.sum()


def bidirectional(layer, x, *more):
    mask = more[:1] if more[0].dtype == torch.bool else ()
    function = {"GRU": torch.gru, "LSTM": torch.lstm}[type(layer.ahead).__name__]
    weights = more[len(mask):]
    half = len(weights) // 2
    return torch.cat([recurrent(function)(one, x, *mask, *w) for one, w in ((layer.ahead, weights[:half]),
                                                                          (layer.back, weights[half:]))], dim=-1)


def last(layer, x, mask=None):
    if mask is None:
        return x[:, -1]
    return x[torch.arange(len(x)), mask.sum(1) - 1]


def hinge(layer, x, t):
    C = x.shape[-1]
    return C * F.multi_margin_loss(x.reshape(-1, C), t.reshape(-1), margin=layer.margin)     # PyTorch divides by C


def rows(x):
    return x.numel() / x.shape[-1]


def over_time(layer, function, x, weights, mask=None):
    """torch.rnn_tanh, torch.lstm or torch.gru, what nn.RNN and its kin call, with the weights of our layer."""
    Wx, Wh, bx, bh = weights
    directions = 1 + layer.reverse
    zero = torch.zeros(directions, len(x), len(Wh), dtype=x.dtype)
    state = (zero, zero) if function is torch.lstm else zero
    options = [Wx.T, Wh.T, bx, bh] * directions, True, 1, 0.0, False, layer.reverse
    if mask is None:
        y = function(x, state, *options, True)[0]
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, mask.sum(1), batch_first=True)
        y = packed._replace(data=function(packed.data, packed.batch_sizes, state, *options)[0])
        y, _ = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
    return y[..., -len(Wh):]


def recurrent(function):
    def run(layer, x, *more):
        *mask, Wx, Wh, bx, bh = more if function is torch.gru else (*more, torch.zeros_like(more[-1]))
        return over_time(layer, function, x, (Wx, Wh, bx, bh), *mask)
    return run


def multi_head_attention(layer, query, *more):
    *memory, Wq, bq, Wk, bk, Wv, bv, Wo, bo = more
    mask = memory.pop() if memory and memory[-1].dtype == torch.bool else None
    source = memory[0] if memory else query
    q, k, v = (F.linear(x, W.T, b).unflatten(-1, (layer.heads, -1)).transpose(1, 2)
               for x, W, b in ((query, Wq, bq), (source, Wk, bk), (source, Wv, bv)))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask[:, None], is_causal=layer.causal)
    return F.linear(y.transpose(1, 2).flatten(2), Wo.T, bo)


def sinusoids(T, D):
    """Vaswani et al., 3.5, as it is written there."""
    waves = [torch.arange(T, dtype=torch.float64) / 10000 ** (2 * (d // 2) / D) for d in range(D)]
    return torch.stack([wave.cos() if d % 2 else wave.sin() for d, wave in enumerate(waves)], dim=1)


# For each class the same in PyTorch: a function of the layer, for its options, and as tensors its inputs, then its parameters.
REFERENCE = {
    "Affine": lambda layer, x, W, b=None: F.linear(x, W.T, b),
    "MatMul": lambda layer, a, b: torch.matmul(a, b),
    "Sigmoid": lambda layer, x: torch.sigmoid(x),
    "Tanh": lambda layer, x: torch.tanh(x),
    "ReLU": lambda layer, x: F.relu(x),
    "LeakyReLU": lambda layer, x: F.leaky_relu(x, layer.slope),
    "GELU": lambda layer, x: F.gelu(x, approximate="tanh"),
    "Softplus": lambda layer, x: F.softplus(x),
    "Softmax": lambda layer, x: F.softmax(x, dim=-1),
    "Repeat": lambda layer, x: torch.repeat_interleave(x, layer.n, dim=layer.axis),
    "Sum": lambda layer, x: torch.sum(x, dim=layer.axis, keepdim=layer.keepdims),
    "Add": lambda layer, a, b: a + b,
    "Subtract": lambda layer, a, b: a - b,
    "Multiply": lambda layer, a, b: a * b,
    "Divide": lambda layer, a, b: a / b,
    "Maximum": lambda layer, a, b: torch.maximum(a, b),
    "Power": lambda layer, a, b=None: torch.pow(a, layer.exponent if b is None else b),
    "Exp": lambda layer, x: torch.exp(x),
    "Log": lambda layer, x: torch.log(x),
    "Sin": lambda layer, x: torch.sin(x),
    "Mean": lambda layer, x: torch.mean(x, dim=layer.axis, keepdim=layer.keepdims),
    "Branch": lambda layer, x: (x,) * layer.n,
    "Reshape": lambda layer, x: torch.reshape(x, layer.shape),
    "Transpose": lambda layer, x: torch.permute(x, layer.axes or tuple(range(x.ndim))[::-1]),
    "Concatenate": lambda layer, *x: torch.cat(x, dim=layer.axis),
    "Last": last,
    "Bidirectional": bidirectional,
    "Convolution1D": lambda layer, x, W, b=None: F.conv1d(x, W, b, layer.stride, layer.padding, layer.dilation, layer.groups),
    "TransposedConvolution": lambda layer, x, W, b=None: F.conv_transpose2d(
        x, W, b, layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation),
    "Huber": lambda layer, x, t: F.huber_loss(x, t, reduction="sum", delta=layer.delta) / rows(x),
    "Flatten": lambda layer, x: torch.flatten(x, start_dim=1),
    "Dropout": lambda layer, x: x * torch.from_numpy(layer.cache[0] != 0) / (1 - layer.p),      # what our layer kept
    "Embedding": lambda layer, ids, W: F.embedding(ids, W),
    "EmbeddingDot": lambda layer, h, ids, W: (F.embedding(ids, W) * h[..., None, :]).sum(-1),
    "RNNCell": lambda layer, x, h, Wx, Wh, b: torch.rnn_tanh_cell(x, h, Wx.T, Wh.T, b, torch.zeros_like(b)),
    "LSTMCell": lambda layer, x, h, c, Wx, Wh, b: torch.lstm_cell(x, (h, c), Wx.T, Wh.T, b, torch.zeros_like(b)),
    "GRUCell": lambda layer, x, h, Wx, Wh, bx, bh: torch.gru_cell(x, h, Wx.T, Wh.T, bx, bh),
    "RNN": recurrent(torch.rnn_tanh),
    "LSTM": recurrent(torch.lstm),
    "GRU": recurrent(torch.gru),
    "Attention": lambda layer, q, k, v, mask=None: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
    "MultiHeadAttention": multi_head_attention,
    "PositionalEncoding": lambda layer, x, *W: x + (W[0][:x.shape[1]] if W else sinusoids(*x.shape[1:]).to(x.dtype)),
    "BatchNorm": lambda layer, x, gamma, beta: F.batch_norm(
        x, torch.full_like(gamma, 0.5), torch.full_like(gamma, 2.0), gamma, beta, layer.training, eps=layer.eps),
    "LayerNorm": lambda layer, x, gamma, beta: F.layer_norm(x, gamma.shape, gamma, beta, layer.eps),
    "GroupNorm": lambda layer, x, gamma, beta: F.group_norm(x, layer.groups, gamma, beta, layer.eps),
    "Convolution": lambda layer, x, W, b=None: F.conv2d(
        x, W, b, layer.stride, layer.padding, layer.dilation, layer.groups),
    "MaxPool": lambda layer, x: F.max_pool2d(x, layer.size, layer.stride, layer.padding),
    "AveragePool": lambda layer, x: F.avg_pool2d(x, layer.size, layer.stride, layer.padding),
    "GlobalAveragePool": lambda layer, x: F.adaptive_avg_pool2d(x, 1).flatten(1),
    "SoftmaxWithLoss": cross_entropy,
    "SigmoidWithLoss": lambda layer, x, t: F.binary_cross_entropy_with_logits(x, t),
    "SquaredError": lambda layer, x, t: F.mse_loss(x, t, reduction="sum") / 2 / rows(x),
    "NormLoss": lambda layer, x, t: torch.linalg.vector_norm(x - t, ord=layer.p, dim=-1).mean(),
    "HingeLoss": hinge,
    "KLDivergence": lambda layer, x, t: F.kl_div(x.log(), t, reduction="sum") / rows(x),
    "CosineLoss": lambda layer, x, t: 1 - F.cosine_similarity(x, t, dim=-1).mean(),
}


def layer_reference(name, case):
    """One row of the table: its inputs, parameters and upstream gradient at random, and what PyTorch makes of them."""
    rng = np.random.default_rng([7, *name.encode()])
    layer = case.make(np.float32)
    inputs = case.inputs(rng, np.float32, 1.0)
    given = {**numbered("inputs", inputs), **numbered("params", layer.params)}
    if "rng" in layer.buffers:
        given["draws"] = rng.random(inputs[0].shape, dtype=np.float32)
    y = numbered("y", layer.forward(*inputs))
    given |= numbered("dout", [rng.standard_normal(np.shape(a)).astype(np.float32) for a in y.values()])
    own, layer = run(case, given, np.float64)
    expected = in_torch(name, layer, given, np.float64, own)
    for what, single in in_torch(name, layer, given, np.float32, own).items():
        compare(single, expected[what], TOLERANCE[np.float32], f"PyTorch's own float32, {name}, {what}")
    return {**given, **expected}


def in_torch(name, layer, given, dtype, wanted):
    """PyTorch's value, and its gradients of all that ``wanted`` names."""
    tensors = {key: torch.from_numpy(np.array(cast(a, dtype))) for key, a in given.items()}
    source = {key: key.replace("dx", "inputs").replace("grads", "params") for key in wanted if key[0] != "y"}
    leaves = {key: tensors[kept].requires_grad_() for key, kept in source.items()}
    formula = REFERENCE[name.partition(", ")[0]]
    y = numbered("y", formula(layer, *series(tensors, "inputs"), *series(tensors, "params")))
    torch.autograd.backward(list(y.values()), series(tensors, "dout"))
    return {**{key: a.detach().numpy() for key, a in y.items()}, **{key: leaf.grad.numpy() for key, leaf in leaves.items()}}


class Velocity(torch.optim.Optimizer):
    """Momentum and Nesterov with the rate inside v, by the formula: PyTorch's differ under a schedule, on purpose."""

    def __init__(self, params, lr, momentum, nesterov):
        super().__init__(params, {"lr": lr})
        self.momentum, self.nesterov = momentum, nesterov

    @torch.no_grad()
    def step(self):
        lr = self.param_groups[0]["lr"]
        for p in self.param_groups[0]["params"]:
            v = self.state[p]["v"] = self.momentum * self.state[p].get("v", 0) + lr * p.grad
            p -= self.momentum * v + lr * p.grad if self.nesterov else v


def torch_schedule(name, optimizer):
    return {
        "step_decay": lambda: S.StepLR(optimizer, step_size=2, gamma=0.5),
        "cosine_decay": lambda: S.CosineAnnealingLR(optimizer, T_max=5, eta_min=0.02),
        "warmup": lambda: S.LinearLR(optimizer, start_factor=1 / 4, total_iters=3),
        "warmup, cosine_decay": lambda: S.SequentialLR(optimizer, [
            S.LinearLR(optimizer, start_factor=1 / 2, total_iters=1), S.CosineAnnealingLR(optimizer, T_max=4)], milestones=[2]),
    }[name]()


def torch_optimizer(ours, params):
    o, lr = ours, 0.2 if callable(ours.lr) else ours.lr
    momentum = Velocity if callable(o.lr) else torch.optim.SGD
    return {
        "SGD": lambda: torch.optim.SGD(params, lr, weight_decay=o.weight_decay),   # without momentum decoupled decay is the same
        "Momentum": lambda: momentum(params, lr, momentum=o.momentum, nesterov=False),
        "Nesterov": lambda: momentum(params, lr, momentum=o.momentum, nesterov=True),
        "AdaGrad": lambda: torch.optim.Adagrad(params, lr, eps=o.eps),
        "RMSProp": lambda: torch.optim.RMSprop(params, lr, alpha=o.decay, eps=o.eps),
        "Adam": lambda: torch.optim.Adam(params, lr, betas=(o.beta1, o.beta2), eps=o.eps),
        "AdamW": lambda: torch.optim.AdamW(params, lr, betas=(o.beta1, o.beta2), eps=o.eps, weight_decay=o.weight_decay),
    }[type(o).__name__]()


def path(optimizer, schedule, params, grads):
    """The parameters after, and the rate at, each step."""
    points, rates = [], []
    for gradients in zip(*grads):
        for p, g in zip(params, gradients):
            p.grad = torch.tensor(g, dtype=torch.float64)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule:
            schedule.step()
        points.append([p.detach().numpy().copy() for p in params])
    return [np.array(p) for p in zip(*points)], np.array(rates)


def optimizer_reference():
    rng = np.random.default_rng(7)
    shapes, steps = [(3, 4), (4,)], 6
    start = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    grads = [rng.standard_normal((steps, *shape)).astype(np.float32) for shape in shapes]
    result = {**numbered("start", start), **numbered("grads", grads)}
    rules = {**updates.CASES, **{name: SGD(rate) for name, rate in updates.SCHEDULES.items()}}
    for name, ours in rules.items():
        params = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in start]
        theirs = torch_optimizer(ours, params)
        schedule = [torch_schedule(key, theirs) for key, rate in updates.SCHEDULES.items() if rate is ours.lr]
        points, rates = path(theirs, schedule[0] if schedule else None, params, grads)
        if name in updates.SCHEDULES:
            result[f"{name}|lr"] = rates
        else:
            result |= {f"{name}|{i}": p for i, p in enumerate(points)}
    return result


if __name__ == "__main__":
    for cls in sys.argv[1:] or [*TABLE, "optimizers"]:
        if cls == "optimizers":
            np.savez_compressed(updates.PATH, **optimizer_reference())
            continue
        arrays = {}
        for name, case in CASES.items():
            if name.partition(", ")[0] == cls:
                arrays |= {f"{name.partition(', ')[2]}|{key}": a for key, a in layer_reference(name, case).items()}
        np.savez_compressed(FOLDER / f"{cls}.npz", **arrays)
