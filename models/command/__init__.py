"""The command line, ``chainrule``: one file per command, with a ``parser()`` and a
``main(options)`` that raises what is wrong with a call, and returns another exit code than 0."""
import importlib
import sys

from ... import __version__
from .arguments import Parser, fail, known

COMMANDS = {
    "train": "train a model on real data, and keep its learning curves and weights",
    "evaluate": "how well a trained model does on test samples",
    "predict": "which digits a trained model sees in pictures of yours",
    "export": "write a trained model for onnxruntime or PyTorch",
    "doctor": "say what the curves of a finished run tell",
    "data": "list the data there is, and fetch it by name",
    "notebooks": "copy the chapters, to read and to run",
    "grade": "mark a folder of homework: marks, mistakes by name, a page about the class",
}


def parser():
    commands = "".join(f"  {name:9} {what}\n" for name, what in COMMANDS.items())
    result = Parser(
        "chainrule", "Deep learning in NumPy with hand-written gradients.",
        f"commands:\n{commands}\n'chainrule train --help' explains its options.")
    result.add("command", "what to do", kind=known("command", COMMANDS), nargs="?")
    result.add_argument("--version", action="version", version=f"chainrule {__version__}",
                        help="print the version and end")
    return result


def main(argv=None):
    """Run the command line; returns the exit code, after Ctrl-C 130."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    if argv and argv[0] in COMMANDS:
        try:
            command = importlib.import_module(f"{__name__}.{argv[0]}")
            return command.main(command.parser().parse_args(argv[1:])) or 0
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        except (OSError, ValueError, ImportError, FloatingPointError) as error:
            return fail(f"chainrule {argv[0]}", str(error))
    parser().parse_args(argv)
    return fail("chainrule", f"a command is missing; there is {', '.join(COMMANDS)}, as in: "
                             "chainrule train")
