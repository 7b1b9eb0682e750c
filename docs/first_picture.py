"""Draws the README's picture: a graph with its gradients, the checker's verdict, a learning curve.

    python docs/first_picture.py        writes docs/_static/first_picture.png
"""
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt

from chainrule.datasets import load_digits
from chainrule.gradcheck import check_gradients
from chainrule.layers import Sin
from chainrule.models import MLP, Graph, Input
from chainrule.optimizers import Adam
from chainrule.training import Trainer

OUT = Path(__file__).parent / "_static" / "first_picture.png"


class MyAffine:
    def __init__(self, W, b):
        self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.mean(axis=0)
        return dout @ self.params[0].T


def draw():
    figure, (graph, verdict, curve) = plt.subplots(
        1, 3, figsize=(13, 4), width_ratios=(5, 4, 4), layout="constrained")
    x1, x2 = Input("x1"), Input("x2")
    f = Graph([x1, x2], x1 * x2 + Sin()(x2), trace=True)
    f.forward(2.0, 5.0)
    f.backward(1.0)
    f.draw(graph, values=True)
    graph.set_title("values and gradients, node by node")

    rng = np.random.default_rng(0)
    layer, x = MyAffine(rng.normal(size=(3, 4)), np.zeros(4)), rng.normal(size=(7, 3))
    finding = check_gradients(layer, x, rng=0).findings[0]
    right, y = x.copy(), rng.normal(size=(7, 4))
    layer.forward(right)
    layer.backward(y)
    places = np.arange(4)
    verdict.bar(places - 0.2, y.sum(axis=0), 0.4, label="numerical")
    verdict.bar(places + 0.2, layer.grads[1], 0.4, label="backward")
    verdict.axhline(0, color="black", linewidth=0.8)
    verdict.set(title=f"the checker: {finding.code} in {finding.where}", xlabel="entry of b",
                ylabel="gradient", xticks=places)
    verdict.legend(frameon=False)

    (x, t), test = load_digits()
    history = Trainer(MLP([64, 128, 64, 10], rng=0), Adam(1e-3)).fit(
        x, t, epochs=20, validation_data=test, rng=0, progress=False)
    epochs = np.arange(1, 21)
    curve.plot(epochs, history["accuracy"], label="training")
    curve.plot(epochs, history["val_accuracy"], label="validation")
    curve.set(title="1,797 handwritten digits, 8 × 8 pixels", xlabel="epoch", ylabel="accuracy",
              ylim=(0.7, 1.01), xticks=range(0, 21, 5))
    curve.legend(frameon=False)
    for ax in verdict, curve:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    matplotlib.use("Agg")
    draw().savefig(OUT, dpi=110, facecolor="white")
