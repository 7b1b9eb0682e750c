"""Nodes: how a graph is written down."""
from __future__ import annotations

from typing import Any

from ..common import checks
from ..common.types import Computes
from ..layers import Add, Divide, MatMul, Multiply, Power, Subtract


class Node:
    """A place in a graph: a layer, and the nodes whose values it takes. Calling a layer on nodes
    makes one.

    So do ``+ - * / **``, ``@`` and unary minus, with numbers or arrays on either side; ``node[i]``
    selects one of several outputs. A node comes after those it takes: there are no cycles.

    In a Graph made with ``trace=True``, ``value`` and ``grad`` hold what last passed here.

    >>> x = Input("x")
    >>> (2 * x - 1) ** 2
    Node(Power(exponent=2.0))
    """
    __array_ufunc__ = None  # so that array + node is left to the node
    __hash__ = object.__hash__
    value = grad = None

    def __init__(self, layer, inputs):
        for n in inputs:
            if not isinstance(n, Node):
                raise TypeError(checks.wrong(type(layer).__name__, "its inputs and targets",
                                             "be nodes", checks.text(n), 'Input("t") makes one'))
        self.layer, self.inputs = layer, inputs

    def connect(self, layer: Computes, *nodes: Any) -> Node:
        """The node of ``layer(*nodes)``; a number or an array among the nodes becomes a
        constant."""
        return Node(layer, tuple(n if isinstance(n, Node) else Constant(n) for n in nodes))

    def __add__(self, other):
        return self.connect(Add(), self, other)

    def __radd__(self, other):
        return self.connect(Add(), other, self)

    def __sub__(self, other):
        return self.connect(Subtract(), self, other)

    def __rsub__(self, other):
        return self.connect(Subtract(), other, self)

    def __mul__(self, other):
        return self.connect(Multiply(), self, other)

    def __rmul__(self, other):
        return self.connect(Multiply(), other, self)

    def __truediv__(self, other):
        return self.connect(Divide(), self, other)

    def __rtruediv__(self, other):
        return self.connect(Divide(), other, self)

    def __matmul__(self, other):
        return self.connect(MatMul(), self, other)

    def __rmatmul__(self, other):
        return self.connect(MatMul(), other, self)

    def __pow__(self, other):
        return (self.connect(Power(), self, other) if isinstance(other, Node)
                else self.connect(Power(other), self))

    def __rpow__(self, other):
        return self.connect(Power(), other, self)

    def __neg__(self):
        return self.connect(Multiply(), self, -1)

    def __getitem__(self, i):
        return Node(Select(checks.count("node[i]", "i", i, least=0)), (self,))

    def __iter__(self):
        raise TypeError(
            "a node does not know how many outputs its layer has; select them one by one: node[0], "
            "node[1]")

    def __repr__(self):
        return f"Node({self.layer!r})"


class Input(Node):
    """A node whose value is an argument of the graph's ``forward``; its name serves messages and
    drawings."""

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(checks.wrong("Input", "name", "be a str or None", repr(name),
                                         "an Input takes arrays of any shape"))
        super().__init__(None, ())
        self.name = name

    def __repr__(self):
        return f"Input({self.name or ''})"


class Constant(Node):
    """A number or an array that takes part in a graph; its gradient is not kept."""

    def __init__(self, value):
        super().__init__(None, ())
        if checks.as_array(value).dtype.kind not in "fiub":
            raise TypeError(checks.wrong("node", "a constant", "be a number or an array of numbers",
                                         checks.text(value)))
        self.constant = (checks.number("node", "a constant", int(value)) if isinstance(value, int)
                         else value)

    def __repr__(self):
        return f"Constant({self.constant!r})"


class Select:
    """The layer of ``node[i]``: one of several outputs. Backward: None, which is zero, for the
    others."""

    def __init__(self, index):
        self.index, self.params, self.grads = index, [], []

    def forward(self, outputs):
        if not isinstance(outputs, tuple) or len(outputs) <= self.index:
            got = (f"{len(outputs)} outputs" if isinstance(outputs, tuple)
                   else "one output, not a tuple")
            raise ValueError(f"node[{self.index}]: the layer has {got}")
        self.n = len(outputs)
        return outputs[self.index]

    def backward(self, dout):
        return tuple(dout if i == self.index else None for i in range(self.n))

    def __repr__(self):
        return f"[{self.index}]"


def node(layer: Computes, *nodes: Any) -> Node:
    """The node of a layer without the base class: ``node(MyLayer(W), x)`` is what ``Affine(W,
    b)(x)`` is for ours."""
    if not hasattr(layer, "forward") or isinstance(layer, type):
        raise TypeError(
            checks.wrong("node", "layer", "be an object with forward", checks.text(layer)))
    first = next((n for n in nodes if isinstance(n, Node)), None)
    if first is None:
        raise TypeError(checks.wrong("node", "nodes", "hold a node, such as Input('x')",
                                     ", ".join(map(checks.text, nodes)) or "none"))
    return first.connect(layer, *nodes)


def through(x, *layers):
    """The node to which layers in a row lead from x."""
    for layer in layers:
        x = x.connect(layer, x)
    return x


def ordered(ends):
    """All nodes that ``ends`` depend on, each after those it takes: depth first, without recursion.

    >>> x = Input("x")
    >>> ordered([x * x + 1])
    [Input(x), Node(Multiply()), Constant(1.0), Node(Add())]
    """
    order, done, stack = [], set(), list(ends)[::-1]
    while stack:
        top = stack[-1]
        waiting = () if top in done else [n for n in top.inputs if n not in done]
        if waiting:
            stack += waiting[::-1]
        else:
            stack.pop()
            if top not in done:
                done.add(top)
                order.append(top)
    return order
