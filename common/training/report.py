"""What is found about a training, as text and as a table in a notebook."""
import html
from collections.abc import Iterable
from dataclasses import dataclass

from ..common import checks
from ..common.printing import printable

# The most important causes first: with a fault in data or model all that is measured later looks
# wrong as well.
CODES = ("too-little-memory", "non-finite", "wrong-output", "wrong-loss", "labels-mismatch",
         "wrong-metric", "frozen", "bad-initialisation", "missing-nonlinearity", "leakage",
         "not-shuffled", "inputs-not-scaled", "dead-units", "saturated-units", "exploding-gradient",
         "vanishing-gradient", "dropout-too-high", "learning-rate-too-high", "batch-size",
         "learning-rate-too-low", "imbalanced-classes", "too-small-model", "too-few-epochs",
         "overfitting")


@dataclass
class Finding:
    """One thing found: its ``code``, one of CODES, ``where`` it is, the numbers and a hint.

    ``certain``: a fact about data or model, however the training ends; else it is an unusual
    measurement, which matters if the training ends badly.
    """
    code: str
    where: str
    evidence: str
    hint: str
    certain: bool = False


class Report:
    """What ``preflight``, ``doctor`` and ``history.diagnose`` found; true if that is nothing.

    ``findings``, most important first; ``codes``, theirs, each once; ``ok``; ``name`` of the model;
    ``measured``, a dict of the numbers that were looked at.

    >>> Report("MLP", [Finding("frozen", "layer 0", "its weights never change", "write grads")])
    MLP: frozen in layer 0
    """

    def __init__(self, name: str, findings: Iterable[Finding] = (),
                 measured: dict[str, str] | None = None) -> None:
        for what, given, kind, expected in (
            ("name", name, str, "a text"), ("measured", measured, dict | None, "a dict of texts")):
            if not isinstance(given, kind):
                raise TypeError(checks.wrong("Report", what, f"be {expected}", checks.text(given)))
        findings = checks.items("Report", "findings", findings, "findings")
        if not all(isinstance(finding, Finding) for finding in findings):
            raise TypeError(checks.wrong("Report", "findings", "be a list of findings",
                                         checks.text(findings)))
        self.name, self.measured = name, dict(measured or {})
        once: dict[str, Finding] = {}
        for finding in findings:
            kept = once.setdefault(finding.code, finding)
            kept.certain |= finding.certain
        self.findings = sorted(once.values(), key=lambda finding: CODES.index(finding.code))

    @property
    def ok(self) -> bool:
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    @property
    def codes(self) -> list[str]:
        return [finding.code for finding in self.findings]

    def __repr__(self) -> str:
        found = ", ".join(f"{f.code} in {f.where}" for f in self.findings)
        return f"{self.name}: {found or 'nothing found'}"

    def __str__(self) -> str:
        lines = [f"{self.name}: {verdict(self.findings)}"]
        width = max(map(len, self.measured), default=0)
        lines += [f"  {name:{width}}  {value}" for name, value in self.measured.items()]
        for f in self.findings:
            lines += [f"  {f.code} in {f.where}", f"      {f.evidence}", f"      try: {f.hint}"]
        return printable("\n".join(lines))

    def _repr_html_(self) -> str:
        measured = [map(html.escape, item) for item in self.measured.items()]
        found = [(f"<b>{html.escape(f.code)}</b>", html.escape(f.where),
                  f"{html.escape(f.evidence)}<br><i>{html.escape(f.hint)}</i>")
                 for f in self.findings]
        head = f"<p><b>{html.escape(self.name)}</b>: {verdict(self.findings)}</p>"
        return head + "".join(table(rows) for rows in (found, measured) if rows)


def table(rows, head=()):
    lines = ["".join(f"<th>{cell}</th>" for cell in head)] if head else []
    lines += ["".join(f"<td style='text-align: left'>{cell}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def verdict(findings):
    number = len(findings)
    if not number:
        return "nothing found"
    return f"{number} finding{'s' * (number > 1)}, most important first"
