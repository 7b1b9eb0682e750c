"""Models as ONNX files: each layer as the operators that compute the same."""

import numpy as np

from ... import __version__
from ... import layers as L
from ...common import checks
from ...common.files import naming, write_whole
from ..saving import place
from ..text import AttentionSeq2Seq, Seq2Seq
from . import losses  # noqa: F401  which registers them
from .following import (
    TRANSLATORS,
    argument,
    axes_after,
    axes_named,
    axes_of_inputs,
    distinct,
    first_use,
    follow,
    inputs_of,
    is_network,
    sizes,
    targets_of,
)
from .registry import (
    ONNX,
    RECURRENT,
    alike,
    base,
    foreign,
    halves,
    known,
    output_padding,
    unfit,
    writes,
)

OPSET, IR_VERSION = 18, 8  # of 2022: what reads ONNX today reads these
INT32, INT64, BOOL, DOUBLE = 6, 7, 9, 11
WHO = "to_onnx"


class OnnxWriter:
    """What the functions that write a layer are given: ``to.Mul(a, b, axis=1)`` adds the ONNX
    operator Mul and returns its output, of several outputs a tuple with ``outputs=3``.

    - ``array(a)``: the value of a NumPy array, or of a number as int64 or in the model's dtype;
    - ``axes(x)``: how many axes an input of the layer has;
    - ``path``: the number of the layer;
    - ``dtype``: the model's.
    """

    def __init__(self, dtype):
        import onnx_ir as ir
        self.ir, self.dtype, self.path = ir, np.dtype(dtype), ""
        self.nodes = []
        self.initializers = {}
        self.known_axes = {}
        self.called = {}  # arrays by id: their names, such as "0.W"

    def array(self, a):
        given = np.asarray(a)
        if given.dtype.kind == "f":
            given = given.astype(self.dtype, copy=False)
        elif given.dtype.kind in "iu":
            given = given.astype(np.int64)
        key = (given.dtype.str, given.shape, given.tobytes()) if given.size < 100 else id(a)
        if key not in self.initializers:
            name = self.called.get(id(a), f"/constant_{len(self.initializers)}")
            tensor = self.ir.tensor(np.ascontiguousarray(given).reshape(given.shape), name=name)
            self.initializers[key] = (a, self.ir.val(name, dtype=tensor.dtype, shape=given.shape,
                                                     const_value=tensor))
        return self.initializers[key][1]

    def axes(self, x):
        return self.known_axes[x]

    def op(self, kind, *inputs, outputs=1, **attributes):
        values = [x if x is None or isinstance(x, self.ir.Value) else self.array(x)
                  for x in inputs]
        count = len(self.nodes) + 1
        node = self.ir.node(kind, values, attributes, num_outputs=outputs,
                            name=f"{self.path or 'model'}/{kind}_{count}")
        for i, value in enumerate(node.outputs):
            value.name = f"/{kind}_{count}" + f"_{i}" * (outputs > 1)
        self.nodes.append(node)
        return node.outputs[0] if outputs == 1 else tuple(node.outputs)

    def __getattr__(self, kind):
        if not kind[0].isupper():
            raise AttributeError(kind)
        return lambda *inputs, **attributes: self.op(kind, *inputs, **attributes)

    def size(self, x, axis):
        """The size of an axis, as (1,)."""
        return self.Shape(x, start=axis, end=axis + 1 or 99)

    def layer(self, path, layer, *values):
        if is_network(layer):
            inside = f"{path}." if path else ""
            return follow(layer, values, lambda number, inner, *taken: self.layer(
                f"{inside}{number}", inner, *taken), self.constant)
        write = known(layer, ONNX)
        if write is None:
            raise foreign(WHO, path, layer, "onnx")
        self.path = path
        self.called |= {id(p): f"{path}.{name}" for name, p in
                        zip(getattr(layer, "names", ()), getattr(layer, "params", ()))}
        try:
            made = write(self, layer, *values)
        except NotImplementedError as error:
            raise unfit(WHO, path, layer, str(error)) from None
        axes = 3 if known(layer, TRANSLATORS) else axes_after(
            path, layer, *(self.known_axes[x] for x in values))
        for value, n in zip(made, axes) if isinstance(made, tuple) else ((made, axes),):
            self.known_axes[value] = n
        return made

    def constant(self, array):
        a = np.asarray(array)
        value = self.array(a if a.dtype == bool else a.astype(self.dtype))
        self.known_axes[value] = a.ndim
        return value


def to_onnx(model, path, *examples, loss=False):
    """See ``Model.to_onnx``."""
    who = f"{type(model).__name__}.to_onnx"
    path = place(who, path)
    try:
        import onnx_ir as ir
    except ImportError as error:
        raise ImportError(f"{who} needs onnx-ir ({error}); install it, for instance with "
                          "pip install 'chainrule[onnx]'") from None
    if not is_network(model) and known(model, ONNX) is None:
        raise foreign(who, "", model, "onnx")
    to = OnnxWriter(model.params[0].dtype if model.params else np.float32)
    if checks.flag(who, "loss", loss) and (model.loss is None or not is_network(model)):
        raise ValueError(f"{who}: loss=True needs a " + (
            "model with a loss" if is_network(model) else "network whose values go from layer to "
            "layer; the scores of this one are exported, its loss is not"))
    inputs = inputs_to(to, model, who, examples, loss)
    if loss:
        made = follow(model, inputs, to.layer, to.constant, loss=True)
        if model.penalty is not None:
            made = to.Add(made, model.penalty.loss(model.params))
        to.known_axes.setdefault(made, 0)
    else:
        made = to.layer("", model, *inputs)
    outputs = made if isinstance(made, tuple) else (made,)
    ends = [to.Identity(value) for value in outputs]
    names = distinct(["loss" if loss else "y"] * len(ends))
    for end, value, name in zip(ends, outputs, names):
        end.name, end.dtype = name, value.dtype or ir.DataType.from_numpy(to.dtype)
        end.shape = ir.Shape([None] * to.known_axes[value])  # a reader infers the sizes
    constants = [value for _, value in to.initializers.values()]
    for value in constants + [value for node in to.nodes for value in node.outputs]:
        value.name = unlike(inputs, value.name)
    graph = ir.Graph(inputs, ends, nodes=to.nodes, name=type(model).__name__,
                     initializers=constants, opset_imports={"": OPSET})
    whole = ir.Model(graph, ir_version=IR_VERSION, producer_name="chainrule",
                     producer_version=__version__)
    with naming(who, path):
        write_whole(path, ir.to_proto(whole).SerializeToString())


def unlike(inputs, name):
    while any(name == given.name for given in inputs):
        name += "_"
    return name


def inputs_to(to, model, who, examples, loss):
    """The values of a model's inputs, with ``loss`` of its targets too."""
    axes, ir = axes_of_inputs(who, model, examples), to.ir
    names, translator = inputs_of(model)[:len(axes)], known(model, TRANSLATORS)
    inputs = []

    def add(name, dtype, shape):
        value = ir.val(name, dtype=ir.DataType.from_numpy(np.dtype(dtype)), shape=shape)
        to.known_axes[value] = len(shape)
        inputs.append(value)
    for i, (name, n) in enumerate(zip(names, axes)):
        if translator:
            kind, shape = ("mask", ["N", "T"]) if i == 2 else ("ids", ["N", "T"])
        else:
            layer, at = first_use(model, i)
            taken, shape = argument(layer, at), sizes(layer, at, n)
            kind = "mask" if taken.boolean else taken.name
        shape = [size if isinstance(size, int) or size == "N" or len(names) == 1
                 else f"{name.removesuffix('_mask')}_{size}" for size in shape]
        if n:
            shape[0] = "N"
        add(name, {"ids": np.int64, "mask": np.bool_}.get(kind, to.dtype), shape)
    for name, n, labelled in targets_of(who, model, axes) if loss else ():
        name = unlike(inputs, name)
        add(name, np.int64 if labelled else to.dtype,
            ["N", *[f"{name}_{k}" for k in range(1, n)]])
    return inputs


def operator(kind):
    return lambda to, layer, *inputs: to.op(kind, *inputs)


ONNX.update({
    **{getattr(L, name): operator(kind) for name, kind in dict(
        Sigmoid="Sigmoid", Tanh="Tanh", ReLU="Relu", Softplus="Softplus", Exp="Exp", Log="Log",
        Sin="Sin", Add="Add", Subtract="Sub", Multiply="Mul", Divide="Div", Maximum="Max").items()},
    L.LeakyReLU: lambda to, layer, x: to.Where(to.Greater(x, 0.0), x, to.Mul(x, layer.slope)),
    L.ELU: lambda to, layer, x: to.Elu(x, alpha=layer.alpha),
    L.SiLU: lambda to, layer, x: to.Mul(x, to.Sigmoid(x)),
    L.Softmax: lambda to, layer, x: to.Softmax(x, axis=-1),
    L.Power: lambda to, layer, a, b=None: to.Pow(a, layer.exponent if b is None else b),
    L.Dropout: lambda to, layer, x, mask=None: to.Identity(x),
    L.Flatten: lambda to, layer, x: to.Flatten(x, axis=1),
    L.Reshape: lambda to, layer, x: to.Reshape(x, list(layer.shape), allowzero=1),
    L.Concatenate: lambda to, layer, *inputs: to.Concat(*inputs, axis=layer.axis),
    L.Branch: lambda to, layer, x: tuple(to.Identity(x) for _ in range(layer.n)),
    L.Embedding: lambda to, layer, ids: to.Gather(layer.W, ids),
    L.GlobalAveragePool: lambda to, layer, x: to.ReduceMean(x, [2, 3], keepdims=0),
    L.LayerNorm: lambda to, layer, x: to.LayerNormalization(
        x, layer.gamma, layer.beta, axis=-1, epsilon=layer.eps),
    L.BatchNorm: lambda to, layer, x: to.BatchNormalization(
        x, layer.gamma, layer.beta, layer.running_mean, layer.running_var, epsilon=layer.eps),
    L.MaxPool: lambda to, layer, x: to.MaxPool(x, **window(layer)),
    L.AveragePool: lambda to, layer, x: to.AveragePool(x, **window(layer), count_include_pad=1),
})


@writes(L.Affine, L.MatMul)
def affine(to, layer, a, b=None):
    if not layer.params:
        return to.MatMul(a, b)
    W, *bias = layer.params
    y = to.MatMul(a, W)
    return to.Add(y, bias[0]) if bias else y


@writes(L.GELU)
def gelu(to, layer, x):
    if layer.exact:
        P = to.Add(to.Erf(to.Mul(x, 0.5**0.5)), 1.0)
    else:
        u = to.Mul(to.Add(x, to.Mul(to.Mul(to.Mul(x, x), x), 0.044715)), (2 / np.pi)**0.5)
        P = to.Add(to.Tanh(u), 1.0)
    return to.Mul(to.Mul(x, P), 0.5)


@writes(L.Sum, L.Mean, L.LogSumExp)
def reduced(to, layer, x):
    axes = [] if layer.axis is None else [list(axes_named(layer))]
    kind = base(layer, L.Sum, L.Mean, L.LogSumExp).__name__
    return to.op(f"Reduce{kind}", x, *axes, keepdims=int(layer.keepdims))


@writes(L.Repeat)
def repeat(to, layer, x):
    """Place i of the longer axis has what stands at i // n."""
    size = to.Squeeze(to.Gather(to.Shape(x), [layer.axis]), [0])
    return to.Gather(x, to.Div(to.Range(0, to.Mul(size, layer.n), 1), layer.n), axis=layer.axis)


@writes(L.Transpose)
def transpose(to, layer, x):
    n = to.axes(x)
    return to.Transpose(x, perm=[a % n for a in layer.axes or range(n)[::-1]])


@writes(L.Last)
def last(to, layer, x, mask=None):
    if mask is None:
        return to.Squeeze(to.Slice(x, [-1], [2**62], [1]), [1])
    steps = to.Cast(mask, to=INT64)
    at = to.ArgMax(steps, axis=1, keepdims=1, select_last_index=1)  # (N, 1)
    at = to.Expand(to.Unsqueeze(at, [2]), to.Concat([1, 1], to.size(x, 2), axis=0))
    some = to.Cast(to.ReduceMax(steps, [1], keepdims=1), to=BOOL)
    return to.Where(some, to.Squeeze(to.GatherElements(x, at, axis=1), [1]), 0.0)


@writes(L.EmbeddingDot)
def embedding_dot(to, layer, h, ids):
    y = to.Gather(layer.W, ids)
    return to.Squeeze(to.MatMul(y, to.Unsqueeze(h, [-1])), [-1])


@writes(L.GroupNorm)
def group_norm(to, layer, x):
    G, C, n = layer.groups, len(layer.gamma), to.axes(x)
    u = to.InstanceNormalization(
        to.Reshape(x, [0, G, -1]), np.ones(G), np.zeros(G), epsilon=layer.eps)
    gamma, beta = (p.reshape(C, *[1] * (n - 2)) for p in layer.params)
    return to.Add(to.Mul(to.Reshape(u, to.Shape(x)), gamma), beta)


def window(layer):
    return {"kernel_shape": layer.size, "strides": layer.stride, "pads": layer.padding * 2}


@writes(L.Convolution, L.Convolution1D)
def convolution(to, layer, x):
    W, *b = layer.params
    stride, dilation = (np.atleast_1d(n).tolist() for n in (layer.stride, layer.dilation))
    pads = layer.padding
    if pads == "same":
        pads, x = 0, padded_to_same(to, x, W.shape[2:], stride, dilation)
    pads = np.broadcast_to(pads, W.ndim - 2).tolist()
    return to.Conv(x, W, *b, strides=stride, dilations=dilation, group=layer.groups, pads=pads * 2)


def padded_to_same(to, x, size, stride, dilation):
    """Zeros around images for ceil(n / s) places, the odd one behind."""
    n, s = to.Shape(x, start=2), np.array(stride)
    places = to.Div(to.Add(n, s - 1), s)
    span = (np.array(size) - 1) * np.array(dilation) + 1
    total = to.Max(to.Sub(to.Add(to.Mul(to.Sub(places, 1), s), span), n), 0)
    before = to.Div(total, 2)
    return to.Pad(x, to.Concat([0, 0], before, [0, 0], to.Sub(total, before), axis=0))


@writes(L.TransposedConvolution)
def transposed_convolution(to, layer, x):
    W, *b = layer.params
    pads = layer.options()["pads"]
    return to.ConvTranspose(
        x, W, *b, strides=layer.stride, dilations=layer.dilation, group=layer.groups,
        output_padding=output_padding(layer), pads=[p[0] for p in pads] + [p[1] for p in pads])


@writes(L.PositionalEncoding)
def positional_encoding(to, layer, x):
    T, D = to.size(x, 1), to.size(x, 2)
    if layer.params:
        return to.Add(x, to.Slice(layer.W, [0], T, [0]))
    # sin(t / 10000^(2i/D)), a quarter of a turn further for odd places; counted in float64
    t, d = (to.Range(0, to.Squeeze(n, [0]), 1) for n in (T, D))
    even = to.Mul(to.Div(d, 2), 2)
    t, even, odd, D, base, quarter = (to.Cast(n, to=DOUBLE) for n in (
        t, even, to.Sub(d, even), D, 10000, np.pi / 2))
    slow = to.Pow(base, to.Div(even, D))
    waves = to.Sin(to.Add(to.Div(to.Unsqueeze(t, [1]), slow), to.Mul(odd, quarter)))
    return to.Add(x, to.CastLike(waves, x))


@writes(L.Attention)
def attention(to, layer, q, k, v, mask=None):
    n = to.axes(q)
    turned = [*range(n - 2), n - 1, n - 2]
    if mask is not None:
        k, v = (seen(to, a, mask) for a in (k, v))
    scale = to.Pow(to.CastLike(to.size(q, -1), q), -0.5)
    return attended(to, to.Mul(q, scale), to.Transpose(k, perm=turned), v, mask)


def seen(to, memory, mask):
    """memory (..., Tk, D) with zeros where no query may look, whatever stands there."""
    allowed = to.ReduceMax(to.Cast(mask, to=INT64), [-2], keepdims=0)
    return to.Where(to.Unsqueeze(to.Cast(allowed, to=BOOL), [-1]), memory, 0.0)


def attended(to, q, k, v, mask):
    """softmax(q k) v, q scaled and k transposed; a query that may look at nothing gives zeros."""
    s = to.MatMul(q, k)
    if mask is not None:
        s = to.Where(mask, s, np.finfo(to.dtype).min)
    w = to.Softmax(s, axis=-1)
    return to.MatMul(w if mask is None else to.Where(mask, w, 0.0), v)


@writes(L.MultiHeadAttention)
def multi_head_attention(to, layer, query, memory=None, mask=None):
    source, H = query if memory is None else memory, layer.heads
    if mask is not None:
        source = seen(to, source, mask)
        mask = to.Unsqueeze(mask, [1])
    if layer.causal:
        i, j = (to.Range(0, to.Squeeze(to.size(x, 1), [0]), 1) for x in (query, source))
        past = to.GreaterOrEqual(to.Unsqueeze(i, [1]), j)
        mask = past if mask is None else to.And(mask, past)

    def heads(x, W, b, perm):
        y = to.Reshape(to.Add(to.MatMul(x, W), b), [0, 0, H, -1])
        return to.Transpose(y, perm=perm)
    D = len(layer.Wq)
    q = heads(query, layer.Wq, layer.bq, [0, 2, 1, 3])
    k = heads(source, layer.Wk, layer.bk, [0, 2, 3, 1])
    v = heads(source, layer.Wv, layer.bv, [0, 2, 1, 3])
    y = attended(to, to.Mul(q, (D // H)**-0.5), k, v, mask)
    y = to.Reshape(to.Transpose(y, perm=[0, 2, 1, 3]), [0, 0, D])
    return to.Add(to.MatMul(y, layer.Wo), layer.bo)


# Where ONNX has its gates: i, o, f, g of an LSTM; z, r, n of a GRU.
GATES = {L.RNN: [0], L.LSTM: [0, 3, 1, 2], L.GRU: [1, 0, 2]}


@writes(*RECURRENT, L.Bidirectional)
def recurrent(to, layer, x, mask=None):
    parts = halves(layer)
    if alike(parts):
        return over_time(to, parts, x, mask)[0]
    return to.Concat(*(over_time(to, [one], x, mask)[0] for one in parts), axis=2)


def over_time(to, layers, x, mask=None, first=()):
    """All h (N, T, H) of a recurrent layer, or of two side by side, and the last states. ONNX knows
    lengths alone: the steps that a mask counts are moved to the front, and back afterwards."""
    cls, lengths = base(layers[0], *RECURRENT), None
    if mask is not None:
        order, count = to_the_front(to, mask)
        lengths, x = to.Cast(count, to=INT32), to.GatherElements(x, across(to, order, x), axis=1)
    y, *last = to.op(cls.__name__, to.Transpose(x, perm=[1, 0, 2]), *stacked(cls, layers), lengths,
                     *[to.Unsqueeze(state, [0]) for state in first],
                     hidden_size=len(layers[0].Wh), outputs=3 if cls is L.LSTM else 2,
                     direction=("bidirectional" if len(layers) > 1 else
                                "reverse" if layers[0].reverse else "forward"),
                     **{"linear_before_reset": 1} if cls is L.GRU else {})
    y = to.Reshape(to.Transpose(y, perm=[2, 0, 1, 3]), [0, 0, -1])
    last = [to.Squeeze(state, [0]) for state in last] if len(layers) == 1 else []
    if mask is not None:
        y = to.ScatterElements(to.Mul(y, 0.0), across(to, order, y), y, axis=1)
        y = to.Where(to.Unsqueeze(mask, [2]), y, 0.0)
        some = to.Unsqueeze(to.Cast(count, to=BOOL), [1])
        last = [to.Where(some, state, first[i] if first else 0.0) for i, state in enumerate(last)]
    return y, last


def stacked(cls, layers):
    """W, R and B, each layer's gates in ONNX's order. B holds two biases, the second zeros but for
    a GRU."""
    def gates(p):
        parts = np.split(p.T, len(GATES[cls]))
        return np.concatenate([parts[i] for i in GATES[cls]])
    W, R, *b = (np.stack([gates(p) for p in column])
                for column in zip(*(layer.params for layer in layers)))
    return W, R, np.concatenate([*b, np.zeros_like(b[0])][:2], axis=1)


def to_the_front(to, mask):
    """The steps (N, T), those that count first, and how many these are (N,)."""
    steps, T = to.Cast(mask, to=INT64), to.Squeeze(to.size(mask, 1), [0])
    back = to.Range(0, to.Neg(T), -1)  # 0, -1, -2, ...
    rank = to.Add(to.Mul(steps, to.Mul(T, 2)), back)
    _, order = to.TopK(rank, to.size(mask, 1), axis=1, outputs=2)
    return order, to.ReduceSum(steps, [1], keepdims=0)


def across(to, order, x):
    """The numbers of steps (N, T) for each feature of x (N, T, D)."""
    return to.Expand(to.Unsqueeze(order, [2]), to.Shape(x))


@writes(L.RNNCell)
def rnn_cell(to, layer, x, h):
    return to.Tanh(to.Add(to.Add(to.MatMul(x, layer.Wx), to.MatMul(h, layer.Wh)), layer.b))


@writes(L.LSTMCell)
def lstm_cell(to, layer, x, h, c):
    s = to.Add(to.Add(to.MatMul(x, layer.Wx), to.MatMul(h, layer.Wh)), layer.b)
    i, f, g, o = to.Split(s, axis=1, num_outputs=4, outputs=4)
    c = to.Add(to.Mul(to.Sigmoid(f), c), to.Mul(to.Sigmoid(i), to.Tanh(g)))
    return to.Mul(to.Sigmoid(o), to.Tanh(c)), c


@writes(L.GRUCell)
def gru_cell(to, layer, x, h):
    a = to.Split(to.Add(to.MatMul(x, layer.Wx), layer.bx), axis=1, num_outputs=3, outputs=3)
    q = to.Split(to.Add(to.MatMul(h, layer.Wh), layer.bh), axis=1, num_outputs=3, outputs=3)
    r, z = (to.Sigmoid(to.Add(a[k], q[k])) for k in (0, 1))
    n = to.Tanh(to.Add(a[2], to.Mul(r, q[2])))
    return to.Add(n, to.Mul(z, to.Sub(h, n)))


@writes(Seq2Seq, AttentionSeq2Seq)
def translator(to, model, x, t, x_mask=None):
    hs, state = over_time(to, halves(model.encoder), to.Gather(model.source.W, x), x_mask)
    e = to.Gather(model.target.W, to.Slice(t, [0], [-1], [1]))
    beside = []
    if model.peeky:
        steps = to.Concat([1], to.size(e, 1), [1], axis=0)
        beside = [to.Expand(to.Unsqueeze(state[0], [1]), steps)]
    g, _ = over_time(to, halves(model.decoder), to.Concat(e, *beside, axis=2), first=state)
    if isinstance(model, AttentionSeq2Seq):
        q = to.Mul(g, len(model.decoder.Wh)**-0.5)
        seen = None if x_mask is None else to.Unsqueeze(x_mask, [1])
        beside = [attended(to, q, to.Transpose(hs, perm=[0, 2, 1]), hs, seen)]
    return affine(to, model.scores, to.Concat(g, *beside, axis=2))
