"""Arguments of a command line, and how it says what is wrong."""
import argparse
import difflib
import sys


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and ends with code 2; an epilog stands as it is written."""

    def __init__(self, prog, description, epilog=None):
        lines = argparse.RawDescriptionHelpFormatter if epilog else argparse.HelpFormatter
        super().__init__(prog, description=description, epilog=epilog, allow_abbrev=False,
                         formatter_class=lines)

    def add(self, name, what, default=None, kind=None, metavar=None, **more):
        """An argument; its help ends with its default."""
        if default is not None:
            what += f" (default: {default:g})" if isinstance(default, float) else \
                f" (default: {default})"
        self.add_argument(name, help=what, default=default, type=kind, metavar=metavar, **more)

    def parse_args(self, arguments):
        flags = [flag for action in self._actions for flag in action.option_strings]
        for text in arguments:
            if text.startswith("-") and text.split("=")[0] not in flags and not text[1:2].isdigit():
                guess = difflib.get_close_matches(text, flags, 1) or [", ".join(flags)]
                self.error(f"there is no option {text}; did you mean {guess[0]}?")
        return super().parse_args(arguments, argparse.Namespace(given=arguments))

    def error(self, message):
        raise SystemExit(fail(self.prog, message))


def fail(prog, message):
    print(f"{prog}: {message}", file=sys.stderr)
    return 2


def known(kind, names):
    """An argument type: one of ``names``, or an error that lists them and guesses."""
    def parse(text):
        if text in names:
            return text
        guess = difflib.get_close_matches(text, names, 1)
        raise argparse.ArgumentTypeError(
            f"no {kind} is called {text!r}; there is {', '.join(names)}"
            + (f" (did you mean {guess[0]}?)" if guess else "")
        )
    return parse


def positive(number, what):
    def parse(text):
        try:
            value = number(text)
        except ValueError:
            value = 0
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"should be {what}, got {text!r}")
        return value
    return parse


def whole(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"should be a whole number, 0 or larger, got {text!r}")
    return int(text)


def table(rows):
    """Names and what they are, a line each."""
    width = max(map(len, rows))
    return "".join(f"  {name:{width}}  {what}\n" for name, what in rows.items())
