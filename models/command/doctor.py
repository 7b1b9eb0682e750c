"""``chainrule doctor``: what the curves of a finished run tell."""
import csv
from pathlib import Path

from ...common.printing import printable
from .arguments import Parser, fail

PROGRAM = "chainrule doctor"


def parser():
    result = Parser(
        PROGRAM,
        "Read the history of a finished run and say what its curves tell: diverged, too slow, "
        "ended too early, overfitted, not finite.",
        "exit code: 0 if nothing was found, 1 if something was, 2 for a wrong call\n\n"
        "in Python, chainrule.training's doctor(trainer, x, t) looks at model and data, too\n\n"
        "example:\n  chainrule doctor runs/mlp-digits\n")
    result.add("run", "a run's folder, as chainrule train leaves it, or its history.csv",
               metavar="RUN")
    return result


def main(arguments):
    path = Path(parser().parse_args(arguments).run)
    path = path / "history.csv" if path.is_dir() else path
    try:
        history = read(path)
    except OSError as error:
        return fail(PROGRAM, f"cannot read {path}: {error.strerror or error}; "
                             "RUN is a folder such as runs/mlp-digits")
    except ValueError as error:
        return fail(PROGRAM, f"{path} is no history of chainrule train: {error}")
    report = history.diagnose()
    report.name = str(path)
    print(printable(str(report)))
    return 0 if report.ok else 1


def read(path):
    """The History that ``to_csv`` wrote, of epochs or of steps."""
    from ...training import History
    with open(path, newline="", encoding="utf-8") as file:
        header, *rows = [row for row in csv.reader(file) if row] or [[]]
    if "loss" not in header:
        names = ", ".join(header[:5]) or "nothing"
        raise ValueError(f"its first line has no column loss, but {names}")
    if not rows:
        raise ValueError("it has no rows")
    history = History()
    add = history.add_step if "step" in header else history.add_epoch
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(f"line {number} has {len(row)} values, not {len(header)}")
        add(**dict(zip(header, map(float, row))))
    return history
