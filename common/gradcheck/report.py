"""What a gradient check found, for people: as text, and as HTML in a notebook."""
import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..common import checks
from ..common.printing import printable

NOTES = ("kink", "precision")  # no mistakes: said only where no mistake is found


@dataclass
class Finding:
    """One thing found: ``code`` (which mistake), ``where`` (``"x"``, ``"inputs[1]"``,
    ``"params[0]"``, …), ``evidence`` (the numbers) and ``hint`` (what to look at). ``picture``:
    |backward - numerical| as a matrix, or None. ``line``: the number of the line in which one
    change makes the gradient right, or that does what it should not (``watched``), and ``text``
    what stands there now; None and "" if no such line was found."""
    code: str
    where: str
    evidence: str
    hint: str
    picture: object = field(default=None, repr=False, compare=False)
    line: int | None = None
    text: str = ""
    watched: bool = field(default=False, repr=False, compare=False)

    @property
    def repair(self) -> str:
        """The line in words; empty if no line is known."""
        if self.line is None:
            return ""
        if self.watched:
            return f"line {self.line}, `{self.text}`, is where it happens"
        return f"line {self.line}, now `{self.text}`: one change there makes it right"


class GradientReport:
    """The verdict of ``check_gradients``: true if no mistake was found.

    ``ok``; ``findings``, likeliest first; ``codes``, those of the findings; ``notes``, sentences on
    what was not looked at and on what these inputs cannot tell apart; ``checked``, the arrays whose
    gradients were compared; ``name`` of the layer. As ``str`` it is a paragraph for each finding;
    its ``repr`` is one line, most important first, as the message of ``assert
    check_gradients(layer, x)``, which pytest cuts in the middle; in a notebook it is a table with a
    picture of the wrong entries. ``text(level)`` gives less away than ``str``, and ``to_dict()``
    the same as data.

    >>> report = GradientReport("Square", [Finding("factor-half", "x", "backward = 0.5 × numerical",
    ...     "a factor 2 is missing", line=7, text="return dout * x")], checked=["x"])
    >>> print(report.text(level=1))
    Square: 1 finding
      something is wrong in x
    >>> report.to_dict()["findings"][0]["code"]
    'factor-half'
    """

    def __init__(self, name: str, findings: Iterable[Finding] = (), notes: Iterable[str] = (),
                 checked: Iterable[str] = ()) -> None:
        who, self.name = "GradientReport", name
        self.findings: list[Finding] = checks.items(who, "findings", findings, "findings")
        self.notes: list[str] = checks.items(who, "notes", notes, "notes")
        self.checked: list[str] = checks.items(who, "checked", checked, "names")

    @property
    def ok(self) -> bool:
        return all(f.code in NOTES for f in self.findings)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def codes(self) -> list[str]:
        """The codes of the findings, in order, each once."""
        return list(dict.fromkeys(f.code for f in self.findings))

    @property
    def verdict(self) -> str:
        if self.ok:
            return f"gradients right ({', '.join(self.checked)})"
        return ("1 finding" if len(self.findings) == 1
                else f"{len(self.findings)} findings, likeliest first")

    def __repr__(self):
        if self.ok:
            return f"{self.name}: {self.verdict}"
        found = ", ".join(f"{f.code} in {f.where}" for f in self.findings)
        hints = dict.fromkeys(f.hint for f in self.findings)
        lines = dict.fromkeys(filter(None, (f.repair for f in self.findings)))
        evidence = "; ".join([*lines, *(f.evidence for f in self.findings)])
        return f"{self.name}: {found}. {evidence}. look at: {'; '.join(hints)}"

    def __str__(self):
        return printable(self.text())

    def text(self, level: int = 3) -> str:
        """The verdict in words, for a homework that gives no more away than it should: 0 whether
        all is right; 1 also where it is not; 2 also which mistake it is, the numbers and what to
        look at; 3, as ``str`` has it, also the line to change, and the notes. Raises ValueError for
        another level."""
        if level not in (0, 1, 2, 3):
            raise ValueError(f"GradientReport: level should be 0, 1, 2 or 3, got {level!r}")
        lines = [f"{self.name}: {self.verdict}"]
        if level == 0:
            return f"{self.name}: {'gradients right' if self.ok else 'not right yet'}"
        if level == 1 and not self.ok:
            places = dict.fromkeys(f.where for f in self.findings)
            return "\n".join(lines + [f"  something is wrong in {where}" for where in places])
        told = set()
        for f in self.findings:
            lines += [f"  {f.code} in {f.where}", f"      {f.evidence}"]
            if level == 3 and f.repair and f.repair not in told:
                lines.append(f"      {f.repair}")
            if f.code not in told:
                lines.append(f"      look at: {f.hint}")
            told |= {f.code, f.repair}
        return "\n".join(lines + [f"  note: {note}" for note in self.notes if level == 3])

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON: ``name``, ``ok``, ``checked``, ``notes`` and
        ``findings``, each with ``code``, ``where``, ``evidence``, ``hint``, ``line`` (an int or
        None) and ``text``. The codes are stable;
        ``chainrule.gradcheck.rules.HINTS`` has them all."""
        names = ("code", "where", "evidence", "hint", "line", "text")
        return {"name": self.name, "ok": self.ok, "checked": list(self.checked),
                "findings": [{name: getattr(f, name) for name in names} for f in self.findings],
                "notes": list(self.notes)}

    def _repr_html_(self):
        told = set()

        def row(f):
            words = [code_html(f.evidence), code_html(f.repair), f"<i>{html.escape(f.hint)}</i>"]
            words = [w for w in words if w and w not in told]  # the line and the hint once
            told.update(words)
            cells = (f"<b>{html.escape(f.code)}</b>", f"<code>{html.escape(f.where)}</code>",
                     "<br>".join(words), svg(f.picture))
            style = "text-align:left;vertical-align:top"
            return "<tr>" + "".join(f"<td style='{style}'>{cell}</td>" for cell in cells) + "</tr>"

        titles = "mistake", "where", "evidence, what to look at", "wrong entries"
        head = "".join(f"<th style='text-align:left'>{text}</th>" for text in titles)
        table = (f"<table><tr>{head}</tr>{''.join(map(row, self.findings))}</table>"
                 if self.findings else "")
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<p><b>{html.escape(self.name)}</b>: {html.escape(self.verdict)}</p>{table}{notes}"


def code_html(words):
    """Words as HTML, with what stands between backticks as code."""
    parts = html.escape(words).split("`")
    return "`".join(parts) if len(parts) != 3 else f"{parts[0]}<code>{parts[1]}</code>{parts[2]}"


def svg(picture, most=40):
    """A matrix of errors as a small picture: white is right, dark red the worst."""
    if picture is None or not np.isfinite(picture).all() or not np.any(picture):
        return ""
    rows, cols = (-(-n // most) for n in picture.shape)
    m = np.pad(picture, [(0, -picture.shape[0] % rows), (0, -picture.shape[1] % cols)])
    m = m.reshape(m.shape[0] // rows, rows, m.shape[1] // cols, cols).max(axis=(1, 3))
    m = m / m.max()
    side = max(3, min(12, 160 // max(m.shape)))

    def cell(i, j, v):
        red, other = 255 - int(100 * v), int(235 * (1 - v))
        return f"<rect x='{j * side}' y='{i * side}' width='{side}' height='{side}' fill='rgb({red},{other},{other})'/>"

    cells = "".join(cell(i, j, v) for (i, j), v in np.ndenumerate(m) if v > 1e-6)
    h, w = m.shape[0] * side, m.shape[1] * side
    frame = f"<rect width='{w}' height='{h}' fill='white' stroke='#888'/>"
    return f"<svg width='{w + 1}' height='{h + 1}'>{frame}{cells}</svg>"
