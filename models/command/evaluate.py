"""``chainrule evaluate``."""
from . import runs
from .arguments import Parser, known


def parser():
    result = Parser("chainrule evaluate", "Loss and accuracy of a run's model on the test samples "
                    "of the data that it was trained on.")
    result.add("run", "its folder, such as runs/mlp-digits", metavar="RUN")
    result.add("--data", "other data: " + ", ".join(runs.DATA),
               kind=known("data set", runs.DATA), metavar="NAME")
    result.add("--folder", "where data files are, for mnist (default: as for the training)",
               metavar="FOLDER")
    return result


def main(options):
    from ...optimizers import SGD
    from ...training import Trainer
    model, training = runs.trained(options.run)
    data = options.data or training["data"]
    _, (x, t) = runs.load(data, options.folder or training.get("folder", "."))
    result = Trainer(model, SGD()).evaluate(x, t)
    wrong = (1 - result["accuracy"]) * len(x)
    print(f"test accuracy {100 * result['accuracy']:.1f} %, loss {result['loss']:.3f} "
          f"({wrong:.0f} of {len(x)} samples wrong)")
