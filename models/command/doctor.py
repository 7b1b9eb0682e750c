"""``chainrule doctor``."""
from pathlib import Path

from .arguments import Parser


def parser():
    result = Parser(
        "chainrule doctor",
        "Read the history of a finished run and say what its curves tell: diverged, too slow, "
        "ended too early, overfitted, not finite.",
        "exit code: 0 if nothing was found, 1 if something was, 2 for a wrong call\n\n"
        "in Python, chainrule.training's doctor(trainer, x, t) looks at model and data, too\n\n"
        "example:\n  chainrule doctor runs/mlp-digits\n")
    result.add("run", "a run's folder, as chainrule train leaves it, or its history.csv",
               metavar="RUN")
    return result


def main(options):
    from ...training import History
    path = Path(options.run)
    path = path / "history.csv" if path.is_dir() else path
    try:
        history = History.load(path)
        if not (history.epochs or history.steps).get("loss"):
            raise ValueError("it has no losses")
    except OSError as error:
        why = error.strerror.removeprefix("History.load: ")
        raise ValueError(f"cannot read {path}: {why}; RUN is a folder such as runs/mlp-digits"
                         ) from error
    except ValueError as error:
        raise ValueError(f"{path} is no history of chainrule train: {error}") from error
    report = history.diagnose()
    report.name = str(path)
    print(report)
    return 0 if report.ok else 1
