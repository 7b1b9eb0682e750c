"""What a Graph itself costs: time per node and pass, in calls of an empty method. The target is under 20.

    python tests/benchmarks/engine.py

Graphs of layers that do nothing, so that all that is left is the engine: finding values, summing gradients, letting both go.
"""
import time
from statistics import median

from chainrule.models import Graph, Input, node

NODES, ROUNDS, TARGET = 10_000, 21, 20


class Nothing:
    """A layer that returns what it is given; of several inputs the first, and the gradient to all of them."""

    def __init__(self, inputs=1):
        self.params, self.grads = [], []
        self.several = inputs > 1
        self.inputs = inputs

    def forward(self, x, *rest):
        return x

    def backward(self, dout):
        return (dout,) * self.inputs if self.several else dout

    def empty(self):
        pass


def chain():
    """Each node takes the one before."""
    x = n = Input()
    for _ in range(NODES):
        n = node(Nothing(), n)
    return Graph(x, n)


def skips():
    """Each node takes the two before, so that every value fans out to two places."""
    x = Input()
    before, n = x, node(Nothing(), x)
    for _ in range(NODES - 1):
        before, n = n, node(Nothing(2), n, before)
    return Graph(x, n)


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratios(graph):
    """Medians over the rounds of the time of forward and of backward per node, in empty calls made in the same round."""
    nothing, forward, backward = Nothing(), [], []

    def empty_calls():
        for _ in range(NODES):
            nothing.empty()

    for _ in range(ROUNDS):
        unit = seconds(empty_calls)
        forward.append(seconds(lambda: graph.forward(0.0)) / unit)
        backward.append(seconds(lambda: graph.backward(0.0)) / unit)
    return median(forward), median(backward)


def main():
    print(f"{NODES:,} nodes, time per node in empty method calls (target: under {TARGET})")
    for make in (chain, skips):
        forward, backward = ratios(make())
        print(f"  {make.__name__:6} forward {forward:5.1f}  backward {backward:5.1f}")


if __name__ == "__main__":
    main()
