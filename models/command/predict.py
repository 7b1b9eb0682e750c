"""``chainrule predict``."""
from pathlib import Path

import numpy as np

from ...common.functions import softmax
from . import pictures, runs
from .arguments import Parser


def parser():
    result = Parser(
        "chainrule predict",
        "Say which digit a picture shows. A photograph of a single digit will do: dark on white "
        "paper, light on black, or on grey paper, upright or a little turned. It is turned to "
        "grey, the digit cut out and made as large and as thick as those of the training; the "
        "probabilities are means over 27 views of it, a little more or less slanted, thick and "
        "wide.")
    result.add("run", "the model's folder, such as runs/mlp-digits", metavar="RUN")
    result.add("pictures", "PNG, JPEG, ...", metavar="PICTURE", nargs="+")
    result.add("--out", "where each picture is shown, as the model sees it, beside the "
               "probabilities (default: RUN/predictions.png)", metavar="FILE")
    return result


def main(options):
    out = Path(options.out or Path(options.run) / "predictions.png")
    model, training = runs.trained(options.run)
    images = [read(path, training["data"]) for path in options.pictures]
    shown = [softmax(model.predict(views)).mean(axis=0) for views in images]
    for path, p in zip(options.pictures, shown):
        best = [f"{i} ({100 * p[i]:.0f} %)" for i in np.argsort(-p)[:3]]
        print(f"{path}: {', '.join(best)}")
    try:
        show(options.pictures, images, shown, out)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot write {out}: {getattr(error, 'strerror', None) or error}; choose "
                         "another file with --out") from error


def read(path, data):
    try:
        return pictures.views(path, **runs.PICTURES[data])
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a picture of a digit: {error}") from error


def show(paths, images, shown, out):
    from matplotlib.figure import Figure
    figure = Figure(figsize=(7, 1.8 * len(paths)), layout="constrained")
    axes = figure.subplots(len(paths), 3, squeeze=False, width_ratios=(1, 1, 2))
    for path, views, p, (left, middle, right) in zip(paths, images, shown, axes):
        left.imshow(pictures.grey(path), cmap="gray", vmin=0, vmax=1)
        middle.imshow(views[0, 0], cmap="gray_r", vmin=0, vmax=1)
        left.set_title(Path(path).name, fontsize="small")
        for panel in (left, middle):
            panel.set_axis_off()
        right.bar(range(len(p)), p)
        right.set(xticks=range(len(p)), ylim=(0, 1))
    figure.savefig(out, dpi=100)
