"""A model as the boxes and edges of a picture."""
import inspect

import numpy as np

from .. import layers as L
from ..common import checks
from ..common.layer import is_model, walk
from ..layers.losses import Loss
from ..plotting.drawing import Vertex
from .node import Constant, Input, Select, ordered, through
from .summary import observe

SIGNS = {L.Add: "+", L.Subtract: "−", L.Multiply: "×", L.Divide: "/", L.MatMul: "@", L.Power: "^",
         L.Maximum: "max", L.Exp: "exp", L.Log: "log", L.Sin: "sin", L.Sum: "Σ", L.Mean: "mean"}
SYMMETRIC = {L.Add, L.Multiply, L.Maximum}
LISTED = 8  # so many layers of a model inside are named


def vertices_and_edges(model, arguments, outputs, end, values, x):
    """Vertices, in order of dependence, and edges (u, v) of a model with these Inputs of forward,
    these outputs, and the loss's node or None."""
    nodes = ordered([*outputs, *([] if end is None else [end])])
    there = any(n.value is not None for n in nodes)
    values = there if values is None else checks.flag("draw", "values", values)
    if values and not there:
        raise ValueError(
            f"{type(model).__name__}: values=True draws what the last forward left in the nodes; "
            "make a Graph(..., trace=True) and call forward first")
    notes = {} if values else shapes(model, nodes, arguments, x)
    taken = {n: [i for i in n.inputs if not folded(n, i)] for n in nodes}
    shown = [n for n in nodes if not isinstance(n, Constant)
             or any(n in some for some in taken.values())]
    index = {n: v for v, n in enumerate(shown)}
    vertices = [Vertex(*described(n, n is end), n, notes.get(n, "")) for n in shown]
    for v in vertices if values else ():
        v.value, v.grad = (written(v.node.value) * (not isinstance(v.node, Constant)),
                           written(v.node.grad))
    for n, v in zip(shown, vertices):
        if len(taken[n]) > 1 and v.kind != "loss" and type(n.layer) not in SYMMETRIC:
            names = list(inspect.signature(n.layer.forward).parameters)[:len(n.inputs)]
            v.marks = names if len(names) == len(n.inputs) else []  # forward takes any number
    edges = [(index[i], index[n]) for n in shown for i in taken[n]]
    ends = [(n, "y" if len(outputs) == 1 else f"y{k + 1}") for k, n in enumerate(outputs)]
    if end is not None:
        # That a single output goes into the loss needs no saying.
        ends = [*(ends if len(outputs) > 1 or outputs[0] not in end.inputs else ()), (end, "loss")]
    for n, name in ends:
        edges.append((index[n], len(vertices)))
        vertices.append(Vertex("end", [name]))
    return vertices, edges


def of_chain(model, values, x):
    first, t = Input("x"), Input("t")
    y = through(first, *model.layers)
    end = None if model.loss is None else y.connect(model.loss, y, t)
    return vertices_and_edges(model, [first, t], [y], end, values, x)


def folded(n, i):
    """Whether input i is a number in an operation's sign, such as the 1 of '+ 1'."""
    return (isinstance(i, Constant) and np.ndim(i.constant) == 0 and type(n.layer) in SIGNS
            and sum(isinstance(other, Constant) for other in n.inputs) == 1)


def described(n, ends_here):
    """(kind, lines) of a node's vertex."""
    layer = n.layer
    if layer is None:
        return "input", [written(n.constant) if isinstance(n, Constant) else n.name or "x"]
    if isinstance(layer, Select) or type(layer) in SIGNS and not layer.params:
        return "operation", [repr(layer) if isinstance(layer, Select) else operation(n)]
    inner = [label(one) for one in getattr(layer, "layers", ())]
    count = sum(p.size for p in layer.params)
    if hasattr(layer, "nodes"):  # its layers are not in a row
        total = sum(not is_model(one) for one in walk(layer))
        inner = [f"{total} layer{'s' * (total > 1)}"]
    elif len(inner) > LISTED:
        inner[LISTED - 1:] = [f"… {len(inner) - LISTED + 1} more"]
    kind = ("model" if inner else "loss" if ends_here or isinstance(layer, Loss)
            else "weights" if count else "layer")
    return kind, [label(layer), *inner, *([f"{count:,} parameters"] if count else [])]


def label(layer):
    name = type(layer).__name__
    size = layer.params[0].shape[2:] if name == "Convolution" else getattr(layer, "size", None)
    return f"{name} {'×'.join(map(str, size))}" if isinstance(size, tuple) else name


def operation(n):
    """The text in an operation's circle: its sign and a number that it takes."""
    sign, symmetric = SIGNS[type(n.layer)], type(n.layer) in SYMMETRIC
    if isinstance(n.layer, L.Power) and n.layer.exponent is not None:
        return f"{sign} {number(n.layer.exponent)}"
    if len(n.inputs) < 2:
        return sign
    left, right = (number(i.constant) if folded(n, i) else "" for i in n.inputs)
    if left or right:
        return f"{left} {sign}" if left and not symmetric else f"{sign} {left or right}"
    return sign if symmetric else f"a {sign} b"


def shapes(model, nodes, arguments, x):
    """Each node's shape as text, as far as a run on x or a traced Graph tells it."""
    known = {n: np.shape(n.value) for n in nodes if n.value is not None
             and not isinstance(n.value, tuple)}
    if x is not None:
        arrays = x if isinstance(x, tuple) else (x,)
        if not 0 < len(arrays) <= len(arguments):
            raise ValueError(
                checks.wrong("draw", "x",
                             "be an input, or a tuple of all inputs and perhaps targets, of "
                             f"{len(arguments)} at most", f"a tuple of {len(arrays)}"))
        seen = observe(model, arrays)
        known = dict(zip(arguments, map(np.shape, arrays)))
        for n in nodes:
            if isinstance(n.layer, Select) and n.inputs[0] in known:
                known[n] = known[n.inputs[0]][n.layer.index]
            elif id(n.layer) in seen:
                known[n] = seen[id(n.layer)].output
    return {n: str(shape) for n, shape in known.items() if shape}


def number(value):
    return f"{float(value) + 0.0:.3g}".replace("-", "−")  # + 0.0: no minus in front of 0


def written(value):
    """A number, a small array entry by entry, a larger one by its norm."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "; ".join(written(v) for v in value if v is not None)
    value = np.asarray(value)
    if value.ndim == 0:
        return number(value)
    if value.size > 4:
        return f"‖·‖ {number(np.linalg.norm(value.astype(float)))}"
    return f"[{', '.join(map(written, value))}]"
