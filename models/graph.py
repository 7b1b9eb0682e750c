"""Any directed acyclic graph of layers."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common import checks
from ..common.layer import Layer
from ..common.types import ArrayLike, Computes, Inputs, Penalty
from ..layers.losses import Loss
from .freezing import learns
from .model import Model, weighed
from .node import Constant, Input, Node, Select, ordered
from .passes import Backward, Forward
from .predicting import in_batches


class Graph(Model):
    """A network in which values branch and meet: inputs at one end, outputs and a loss at the
    other, layers between.

    >>> from chainrule.layers import Sin
    >>> x1, x2 = Input(), Input()
    >>> f = Graph([x1, x2], x1 * x2 + Sin()(x2))
    >>> float(f.forward(2.0, 5.0).round(4))
    9.0411
    >>> df_dx1, df_dx2 = f.backward(1.0)  # x2 and x1 + cos x2: two paths lead from x2 to f
    >>> float(df_dx1), float(df_dx2.round(4))
    (5.0, 2.2837)

    - inputs, outputs, targets: a node or a list of nodes;
    - loss: a loss layer, for one output and one target; or any scalar node made of outputs and
      target Inputs, so that two weighted losses are ``loss_a + 0.3 * loss_b``;
    - penalty: an L1 or L2;
    - trace: keep each node's ``value`` and ``grad``.

    ``forward(x1, ..., xk)`` gives the output, a tuple if there are several; ``forward(x1, ..., xk,
    t, ...)`` the loss. ``backward`` visits the nodes in reverse topological order. When a node's
    turn has come, all nodes u that take its value v have been visited, and their gradients,
    **summed**, are its own: the chain rule over several paths,

        dL/dv = Σ_u dL/du · ∂u/∂v

    Raises ValueError for a layer object used twice, and for an Input that is not listed, listed
    twice or leads nowhere.
    """

    def __init__(
        self, inputs: Node | Sequence[Node], outputs: Node | Sequence[Node],
        targets: Node | Sequence[Node] = (), loss: Computes | Node | None = None,
        penalty: Penalty | None = None, trace: bool = False,
    ) -> None:
        self.inputs, self.outputs, self.targets = listed(inputs), listed(outputs), listed(targets)
        self.several, self.trace = len(self.outputs) > 1, checks.flag("Graph", "trace", trace)
        for n in self.outputs:
            if not isinstance(n, Node):
                raise TypeError(
                    "Graph: outputs are nodes, made by calling a layer on nodes, as in y = "
                    f"ReLU()(x), got {n!r}")
        end = loss
        if loss is not None and not isinstance(loss, Node):
            self.targets = self.targets or [Input("t")]
            if len(self.outputs) != 1 or len(self.targets) != 1:
                raise ValueError(
                    "Graph: a loss layer takes one output and one target; several losses are a "
                    "node, as in loss=SoftmaxWithLoss()(a, t) + 0.3 * SoftmaxWithLoss()(b, t)")
            end = Node(loss, (self.outputs[0], self.targets[0]))
        self.nodes = ordered([*self.outputs, *([] if end is None else [end])])
        self._check_inputs()
        super().__init__([n.layer for n in self.nodes if n.inputs and n.layer is not loss
                          and not isinstance(n.layer, Select)], loss, penalty)
        self._compile(end)

    def _check_inputs(self):
        given = [*self.inputs, *self.targets]
        for i, n in enumerate(given):
            if not isinstance(n, Input):
                hint = "; a loss goes by its name: loss=" if hasattr(n, "forward") else ""
                raise TypeError(
                    f"Graph: inputs and targets are nodes made by Input(), got {n!r}{hint}")
            if n in given[:i]:
                raise ValueError(f"Graph: {n!r} is listed twice")
            n.name = n.name or (f"x{i + 1}" if n in self.inputs else f"t{i + 1 - len(self.inputs)}")
        reached = [n for n in self.nodes if isinstance(n, Input)]
        for n in reached:
            if n not in given:
                raise ValueError(
                    f"Graph: {n!r} leads to an output or the loss but is not listed; put it into "
                    "inputs, or into targets if only the loss needs it")
        for n in given:
            if n not in reached:
                raise ValueError(
                    f"Graph: {n!r} is listed but leads to no output and no loss; connect it or "
                    "take it out")

    def _compile(self, end):
        """The graph as a program over numbered slots: (layer, slots it reads, slot it writes, slots
        not read again)."""
        slot = {n: i for i, n in enumerate(self.nodes)}
        self._in, self._out, self._t = ([slot[n] for n in group]
                                        for group in (self.inputs, self.outputs, self.targets))
        self._end = None if end is None else slot[end]
        self.losses = [n.layer for n in self.nodes if len(n.inputs) == 2
                       and (isinstance(n.layer, Loss) or n.layer is self.loss)]
        self._constants = [n.constant if isinstance(n, Constant) else None for n in self.nodes]
        steps, live = [], {*self._out, self._end, *self._t}
        last = {slot[i]: slot[n] for n in self.nodes for i in n.inputs}
        for n in self.nodes:
            if n.inputs:
                reads = [slot[i] for i in n.inputs]
                over = [] if self.trace else [i for i in set(reads) - live if last[i] == slot[n]]
                steps.append((n.layer, reads, slot[n], over))
        # What the loss alone needs comes last, and does not run without targets.
        count = sum(bool(n.inputs) for n in ordered(self.outputs))
        self._to_outputs, self._to_loss = steps[:count], steps[count:]
        self._back_all = [(layer, reads, out) for layer, reads, out, _ in steps[::-1]]

    def find_lowest(self) -> None:
        # Without the inputs' gradients, backward stops at the lowest layers that learn.
        leads: set[Any] = set()           # slots below which there are such layers
        for layer, reads, out in self._back_all[::-1]:
            if leads.intersection(reads) or learns(layer):
                leads.add(out)
        self._back = [step for step in self._back_all if step[2] in leads]
        self._lowest = () if self.trace else [
            layer for layer, reads, _ in self._back
            if isinstance(layer, Layer) and not leads.intersection(reads)]

    def __getstate__(self):
        """The nodes as a flat list: what takes what by number, so that a graph may be of any
        length."""
        state = super().__getstate__()
        number = {n: i for i, n in enumerate(self.nodes)}
        state["nodes"] = [(type(n), {**vars(n), "inputs": [number[i] for i in n.inputs],
                                     "value": None, "grad": None}) for n in self.nodes]
        for name in ("inputs", "outputs", "targets"):
            state[name] = [number[n] for n in state[name]]
        if isinstance(self.loss, Node):
            state["loss"] = (number[self.loss],)
        return state

    def __setstate__(self, state):
        nodes = []
        for kind, kept in state["nodes"]:
            n = kind.__new__(kind)
            vars(n).update({**kept, "inputs": tuple(nodes[i] for i in kept["inputs"])})
            nodes.append(n)
        for name in ("inputs", "outputs", "targets"):
            state[name] = [nodes[i] for i in state[name]]
        if isinstance(state["loss"], tuple):
            state["loss"] = nodes[state["loss"][0]]
        super().__setstate__({**state, "nodes": nodes})

    def predictive_layers(self) -> list[Any]:
        """Without what leads to the loss alone."""
        return [n.layer for n in ordered(self.outputs)]

    def forward(self, *arrays, weight=None):
        """The output of the inputs or, with the targets after them, the loss: a float, penalty
        included; ``weight``: how much each row counts in it, in every loss layer."""
        k, n = len(self.inputs), len(arrays)
        if n not in (k, k + len(self.targets)):
            self._refuse(n)
        if weight is not None and not self.losses:
            raise TypeError("Graph: weight is for the rows of loss layers, and this graph has none")
        with Forward(self, n > k, weight):
            values = self._constants.copy()
            for i, x in zip((*self._in, *self._t), arrays):
                values[i] = x
            self._evaluate(self._to_outputs, values, weight)
            self.output = y = (tuple(values[i] for i in self._out) if self.several
                               else values[self._out[0]])
            if n == k:
                return y
            self._evaluate(self._to_loss, values, weight)
            return self.total(number(values[self._end]))

    def _evaluate(self, program, values, weight=None):
        for layer, reads, out, over in program:
            inputs = [values[i] for i in reads]
            if weight is not None and layer in self.losses:
                inputs = weighed(layer, *inputs, weight)
            values[out] = layer.forward(*inputs)
            for i in over:
                values[i] = None
        if self.trace:
            for n, value in zip(self.nodes, values):
                n.value = value

    def backward(self, dout=None, input_gradient=False):
        """Fill ``grads``, as Sequential's does; ``dout`` is a tuple for several outputs, and so is
        what is returned for several inputs."""
        with Backward(self, dout, input_gradient) as run:
            grads = [None] * len(self.nodes)
            for i, d in self._ends(dout):
                grads[i] = added(grads[i], d)
            for layer, reads, out in self._back_all if run.full or self.trace else self._back:
                dout = grads[out]
                if dout is None:                      # its value is not used
                    for g in layer.grads:
                        g[...] = 0
                    continue
                dx = layer.backward(dout)
                if not self.trace:
                    grads[out] = None
                # a loss gives dx alone; for an input that is a tuple dx is one
                several = len(reads) > 1 and isinstance(dx, (tuple, list))
                for i, d in zip(reads, dx if several else (dx,)):
                    grads[i] = added(grads[i], d)
        if self.trace:
            for n, grad in zip(self.nodes, grads):
                n.grad = grad
        dx = tuple(grads[i] for i in self._in)
        return (dx if len(dx) > 1 else dx[0]) if run.full else None

    def _ends(self, dout):
        """(place, gradient) where backward begins: at the loss, which is 1 by itself, or at the
        outputs."""
        if self._ready == "loss":
            return [(self._end, 1.0 if dout is None else dout)]
        douts = dout if self.several else (dout,)
        if not isinstance(douts, (tuple, list)) or len(douts) != len(self._out):
            raise ValueError(
                f"Graph: dout should be a tuple of {len(self._out)} gradients, one for each "
                "output, None for zero")
        return zip(self._out, douts)

    def predict(self, *inputs: ArrayLike, batch_size: int | None = None) -> Any:
        """The outputs in evaluation mode, ``batch_size`` samples at a time, without a trace, as
        Sequential's."""
        return in_batches(self, self.forward, inputs, batch_size)

    def vertices_and_edges(
        self, values: bool = False, x: Inputs | None = None
    ) -> tuple[list[Any], list[tuple[int, int]]]:
        """What ``plotting.draw`` draws."""
        from .vertices import vertices_and_edges
        end = None if self._end is None else self.nodes[self._end]
        return vertices_and_edges(self, [*self.inputs, *self.targets], self.outputs, end, values, x)

    def _refuse(self, n):
        names = ", ".join(n.name for n in self.inputs), ", ".join(n.name for n in self.targets)
        both = f", or these and the targets ({names[1]})" if names[1] else ""
        hint = ("; for a loss make it with loss=, as in Graph(x, y, loss=SoftmaxWithLoss())"
                if n > len(self.inputs) and not self.targets else "")
        raise TypeError(f"Graph: forward takes the inputs ({names[0]}){both}, got {n} arrays{hint}")


def number(loss):
    if np.ndim(loss):
        raise ValueError(
            f"Graph: the loss should be one number, got shape {np.shape(loss)}; Mean(axis=None) "
            "makes one")
    return float(loss)


def added(a, b):
    """The sum of two gradients: None is zero, tuples (of several outputs) add entry by entry."""
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, tuple):
        return tuple(added(p, q) for p, q in zip(a, b))
    return a + b


def listed(nodes):
    return list(nodes) if isinstance(nodes, (list, tuple)) else [nodes]
