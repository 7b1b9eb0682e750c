"""``chainrule evaluate``: how a run's model does on test samples."""
from . import runs
from .arguments import Parser, fail, known

PROGRAM = "chainrule evaluate"


def parser():
    result = Parser(prog=PROGRAM, allow_abbrev=False, description="Loss and accuracy of a run's "
                    "model on the test samples of the data that it was trained on.")
    result.add_argument("run", metavar="RUN", help="its folder, such as runs/mlp-digits")
    result.add_argument("--data", type=known("data set", runs.DATA), metavar="NAME",
                        help="other data: " + ", ".join(runs.DATA))
    result.add_argument("--folder", metavar="FOLDER",
                        help="where data files are, for mnist (default: as for the training)")
    return result


def main(arguments):
    """Run the command; returns the exit code: 0, or 2 for a wrong call."""
    from ...optimizers import SGD
    from ...training import Trainer
    options = parser().parse_args(arguments)
    try:
        model, training = runs.trained(options.run)
        data = options.data or training["data"]
        _, (x, t) = runs.load(data, options.folder or training.get("folder", "."))
        result = Trainer(model, SGD()).evaluate(x, t)
    except (OSError, ValueError) as error:
        return fail(PROGRAM, str(error))
    wrong = (1 - result["accuracy"]) * len(x)
    print(f"test accuracy {100 * result['accuracy']:.1f} %, loss {result['loss']:.3f} "
          f"({wrong:.0f} of {len(x)} samples wrong)")
    return 0
