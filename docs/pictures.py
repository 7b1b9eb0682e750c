"""Makes the README's pictures: the first one, a small one out of each chapter, and their table.

    python docs/pictures.py        writes docs/_static/*.png and README's table of chapters
"""
import base64
import io
import json
import re
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

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "docs" / "_static"
WIDTH, HEIGHT = 320, 200


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


def chapters():
    """(path, title, picture, what is seen there) of each chapter, the last two as the index has
    them; None where it has none."""
    shown = {}
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        if path.stem.startswith("00"):
            for cell in cells:
                seen = re.search(r"!\[(.*?)\]\(attachment:", "".join(cell["source"]))
                for name, kinds in cell.get("attachments", {}).items():
                    shown[Path(name).stem] = kinds["image/png"], seen[1]
            continue
        title = "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")
        yield path, title, *shown.get(path.stem, (None, None))


def small(png):
    """A picture, fitted into WIDTH x HEIGHT, on white, in 64 colours."""
    from PIL import Image
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (WIDTH, HEIGHT), "white")
    sheet.paste(image, ((WIDTH - image.width) // 2, (HEIGHT - image.height) // 2))
    return sheet.quantize(64)


def place(path):
    return STATIC / f"chapter_{path.name[:2]}.png"


def table():
    """README's table of chapters, three to a row."""
    cells = []
    for path, title, picture, seen in chapters():
        image = (f'<br><img src="docs/_static/{place(path).name}" width="240" alt="{seen}">'
                 if picture else "")
        cells.append(f"[{title}](notebooks/{path.name}){image}")
    rows = [cells[i:i + 3] + [""] * (3 - len(cells[i:i + 3])) for i in range(0, len(cells), 3)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["| | | |", "| --- | --- | --- |", *lines])


if __name__ == "__main__":
    matplotlib.use("Agg")
    draw().savefig(STATIC / "first_picture.png", dpi=110, facecolor="white")
    for path, _, picture, _ in chapters():
        if picture:
            small(picture).save(place(path), optimize=True)
    readme = ROOT / "README.md"
    text = re.sub(r"(?<=<!-- chapters -->\n).*(?=\n<!-- -->)", lambda _: table(),
                  readme.read_text(encoding="utf-8"), flags=re.S)
    readme.write_text(text, encoding="utf-8")
