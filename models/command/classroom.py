"""What comes of marks: tables, a page about the class, a text for each student, Gradescope's
``results.json``."""
import csv
import html
import io
import json
from collections import Counter
from statistics import mean, median

from ...gradcheck.rules import HINTS

LEVELS = {0: "a nudge: which layer and which method", 1: "the place: which gradient",
          2: "the formula to look at", 3: "the mistake by name, its numbers and its line"}

# What a code says of students: "17 of 60 divided by N once too often".
DID = {
    # in forward
    "endless": "wrote a loop that does not end",
    "died": "ended the process instead of returning a value",
    "memory": "needed more memory than is allowed",
    "exits": "left the program by sys.exit",
    "interrupts": "raised what ends a program",
    "not-begun": "have not written the method yet",
    "raises": "raised an error",
    "no-array": "returned something that is no array",
    "not-finite": "gave infinities or NaN",
    "no-batch-mean": "took no mean over the batch",
    "divided-by-N-in-forward": "divided the loss by N once too often",
    "wrong-mean": "took the mean over the classes, too",
    "transposed-output": "gave the output transposed",
    "wrong-shape": "gave an output of the wrong shape",
    "wrong-sign-in-forward": "gave the output with the other sign",
    "wrong-axis": "worked along the wrong axis",
    "rows-do-not-sum-to-1": "gave rows that do not sum to 1",
    "parameter-not-used": "left a parameter out",
    "another-function": "computed another function",
    "wrong-factor": "gave a multiple of the output",
    "constant-added": "added a constant to the output",
    "low-precision": "were right to a few digits only",
    "some-rows-wrong": "were right for some samples only",
    "wrong-values": "gave other values",
    # in backward
    "numerical": "differentiated numerically",
    "nondeterministic": "gave two answers to one question",
    "uninformative": "gave zero for every gradient",
    "mutates-input": "changed what they were given",
    "mutates-cache": "changed an array that backward still needs",
    "cross-sample": "mixed the samples of a batch",
    "ignores-upstream": "did not multiply by dout",
    "not-returned": "did not return a gradient",
    "not-written": "did not write a gradient into grads",
    "rebound-grads": "replaced grads instead of writing into it",
    "accumulates": "added to the gradients of the call before",
    "kink": "met a point without a derivative",
    "precision": "computed in too short a precision",
    "missing-batch-sum": "did not sum a gradient over the batch",
    "missing-transpose": "lost a transpose",
    "scaled-by-N": "did not divide by N",
    "divided-by-N": "divided by N once too often",
    "wrong-sign": "lost a minus",
    "factor-2": "had a factor 2 too many",
    "factor-half": "lost a factor 2",
    "dropout-scale": "scaled dropout wrongly",
    "summed-too-far": "summed over too many axes",
    "flipped-kernel": "flipped a kernel",
    "wrong-reshape": "put the right numbers into the wrong order",
    "lost-branch": "lost one of several paths",
    "wrong-penalty": "took the penalty's gradient wrongly",
    "repeated-index": "kept one of several equal ids",
    "missing-mask": "did not mask the gradient",
    "inverted-mask": "masked the wrong entries",
    "missing-local-derivative": "passed dout on as it came",
    "wrong-local-derivative": "derived the function wrongly",
    "constant-statistics": "took a mean, a variance or a norm for a constant",
    "missing-label-subtraction": "did not subtract 1 at the label",
    "overlap-overwritten": "overwrote where windows overlap",
    "stale-cache": "read an array of another step",
    "unrecognised": "made a mistake of no known pattern",
    # of the whole
    "refused": "used what they were to write, or touched the judge",
    "unreadable": "handed in what cannot be run",
}
OPEN = ("endless", "died", "memory", "exits", "interrupts", "not-begun", "raises", "no-array")


def hint(layer, finding, level):
    """One sentence for the student, as frank as ``level`` says; errors at every level."""
    name = f"{layer}.{finding.method}" if finding.method else layer
    if finding.code in OPEN:
        return f"{name}: {finding.words}"
    if level == 0:
        return f"{name} is not right yet"
    place = {"forward": "what it returns", "__init__": "what it keeps"}.get(
        finding.method, f"the gradient of {finding.where}")
    if finding.method == "forward" and finding.code == "mutates-input":
        place = "what it does to its input"
    text = f"{name} is not right yet; look at {place}"
    if level >= 2:
        told = finding.words if finding.method == "forward" else HINTS.get(finding.code, "")
        text += f": {told or finding.words}"
    if level >= 3:
        said = finding.words if finding.method == "backward" else ""
        text += f"\n    {finding.code}{': ' * bool(said)}{said}"
        if finding.line and f"line {finding.line[0]}" not in said:
            text += f"\n    line {finding.line[0]}: {finding.line[1]}"
    return text


def feedback(mark, level):
    lines = [f"{mark.student}: {mark.mark} of {mark.out_of}"]
    if mark.error:
        return "\n".join([*lines, "", mark.error]) + "\n"
    for layer in mark.layers:
        lines += ["", f"{layer.name:18}{layer.mark} of 2", *told(layer, level)]
    return "\n".join(lines) + "\n"


def told(layer, level):
    if layer.refused:
        return [f"  {layer.refused}"]
    return [f"  {text}" for text in dict.fromkeys(hint(layer.name, f, level)
                                                  for f in layer.findings)]


def codes(mark):
    if mark.error:
        return ["unreadable"]
    return list(dict.fromkeys(code for layer in mark.layers for code in
                              (["refused"] if layer.refused else [f.code for f in layer.findings])))


def as_csv(marks):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([
        ["student", "mark", "out_of", *(layer.name for layer in marks[0].layers)],
        *([m.student, m.mark, m.out_of, *(layer.mark for layer in m.layers)] for m in marks)])
    return text.getvalue()


def as_json(marks, seed, level):
    return {"seed": seed, "hint_level": level, "students": [{
        "student": m.student, "mark": m.mark, "out_of": m.out_of, "error": m.error,
        "codes": codes(m),
        "layers": [{
            "name": layer.name, "mark": layer.mark, "out_of": 2, "forward": layer.points[0],
            "backward": layer.points[1], "refused": layer.refused,
            "findings": [{
                "code": f.code, "method": f.method, "where": f.where, "evidence": f.words,
                "hint": HINTS.get(f.code, "") if f.method == "backward" else "",
                "line": f.line[0] if f.line else None} for f in layer.findings],
        } for layer in m.layers]} for m in marks]}


def gradescope(mark, level):
    """``results.json``: a test for each method of each layer."""
    tests = [{
        "name": f"{layer.name}.{method}", "score": points, "max_score": 1,
        "status": "passed" if points else "failed", "output": "" if points else
        mark.error or "\n".join(told(layer, level)) or "counts once forward is right",
        "output_format": "text",
    } for layer in mark.layers for points, method in zip(layer.points, ("forward", "backward"))]
    return {"score": mark.mark, "tests": tests, "output": mark.error, "output_format": "text",
            "visibility": "visible", "stdout_visibility": "hidden"}


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark; --bar: #3b6ea8; --line: #8886 }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto;
  padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }} .scroll {{ overflow-x: auto }}
th, td {{ text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums }}
.bar {{ display: inline-block; height: .8rem; background: var(--bar); border-radius: 2px }}
td.wide {{ width: 40% }} pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem;
  margin: .4rem 0 }}
</style></head><body>
<h1>{title}</h1>
<p>{summary}</p>
<h2>Mistakes</h2>
{mistakes}
<h2>Marks</h2>
{marks}
<h2>Layers</h2>
{layers}
<h2>Hand-ins</h2>
{students}
</body></html>
"""


def bars(rows, heads):
    """A table of (text, number), with a bar for each number."""
    most = max([number for _, number in rows] + [1])
    body = "".join(
        f"<tr><td>{html.escape(text)}</td><td class=n>{number}</td><td class=wide>"
        f"<span class=bar style='width:{100 * number / most:.0f}%'></span></td></tr>"
        for text, number in rows)
    head = f"<tr><th>{heads[0]}</th><th class=n>{heads[1]}</th><th></th></tr>"
    return f"<div class=scroll><table>{head}{body}</table></div>"


def page(marks, title, level):
    n, out_of = len(marks), marks[0].out_of
    values = [m.mark for m in marks]
    counts = Counter(code for m in marks for code in codes(m))
    by_mark = Counter(values)
    students = "".join(
        f"<tr><td>{html.escape(m.student)}</td><td class=n>{m.mark}</td><td><details><summary>"
        f"{html.escape(', '.join(codes(m)) or 'all right')}</summary>"
        f"<pre>{html.escape(feedback(m, 3))}</pre></details></td></tr>" for m in marks)
    right = [(layer.name, sum(m.layers[i].mark == 2 for m in marks))
             for i, layer in enumerate(marks[0].layers)]
    return PAGE.format(
        title=html.escape(title),
        summary=f"{n} hand-in{'s' * (n != 1)}, marks of {out_of}: mean {mean(values):.1f}, median "
                f"{median(values):g}. Students are told {LEVELS[level]}.",
        mistakes=bars([(f"{number} of {n} {DID.get(code, code)}", number)
                       for code, number in counts.most_common()], ("mistake", "students"))
        if counts else "<p>None.</p>",
        marks=bars([(f"{v} of {out_of}", by_mark[v]) for v in range(out_of, -1, -1)],
                   ("mark", "students")),
        layers=bars(right, ("layer", "all right")),
        students="<div class=scroll><table><tr><th>student</th><th class=n>mark</th>"
                 f"<th>mistakes</th></tr>{students}</table></div>")


def dumps(value):
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
