"""Text for a stream that may not know all of Unicode, as a pipe on Windows does not."""
import sys

PLAIN = str.maketrans({"×": "x", "·": "*", "−": "-", "–": "-", "—": "-", "≠": "!=", "≤": "<=",
                       "≥": ">=", "Σ": "sum ", "√": "sqrt ", "∂": "d", "²": "^2", "³": "^3",
                       "ᵀ": ".T", "½": "1/2", "∞": "inf", "→": "->", "…": "..."})


def printable(text):
    """The text as it is where ``sys.stdout`` can take it, else with plain letters for what it
    cannot."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        return text.translate(PLAIN).encode(encoding, "replace").decode(encoding)
