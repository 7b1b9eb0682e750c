"""What a gradient check found, for people: as text, and as HTML in a notebook."""
from dataclasses import dataclass, field

NOTES = ("kink", "precision")          # no mistakes: said only where no mistake is found


@dataclass
class Finding:
    """One thing found: ``code`` (which mistake), ``where`` (``"x"``, ``"inputs[1]"``, ``"params[0]"``, …), ``evidence`` (the
    numbers) and ``hint`` (what to look at)."""
    code: str
    where: str
    evidence: str
    hint: str
    picture: object = field(default=None, repr=False, compare=False)      # a map of the wrong entries


class GradientReport:
    """The verdict of ``check_gradients``: true if no mistake was found.

    ``ok``; ``findings``, likeliest first; ``notes``, sentences on what was checked and on what these inputs cannot tell apart.
    Its ``repr`` is written to be the message of ``assert check_gradients(layer, x)``.
    """

    def __init__(self, name, findings=(), notes=(), checked=()):
        self.name, self.findings, self.notes, self.checked = name, list(findings), list(notes), list(checked)

    @property
    def ok(self):
        return all(f.code in NOTES for f in self.findings)

    def __bool__(self):
        return self.ok

    @property
    def codes(self):
        """The codes of the findings, in order, each once."""
        return list(dict.fromkeys(f.code for f in self.findings))

    def __repr__(self):
        mistakes = sum(f.code not in NOTES for f in self.findings)
        if self.ok:
            verdict = f"gradients right ({', '.join(self.checked)})" if self.checked else "nothing to check"
        else:
            verdict = "1 finding" if mistakes == 1 else f"{mistakes} findings, likeliest first"
        lines = [f"{self.name}: {verdict}"]
        for f in self.findings:
            lines += [f"  {f.code} in {f.where}", f"      {f.evidence}", f"      look at: {f.hint}"]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)
