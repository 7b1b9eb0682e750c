"""Layers that were written without sight of the checker, and that it was first tried on unseen.

    python -m pytest -m slow tests/exam

``CASES`` as in ``faulty``; a frozenset of codes takes any of them for an answer. At first sight the right code came first for
89, 86, 95, 96 and 95 of 100 in the order below, both of a pair for 61, 76, 83, 84 and 85, and one right layer of 243 was
called wrong; each set has taught the checker before the next was tried.
"""
from importlib import import_module

import pytest

from chainrule.gradcheck import check_gradients

SETS = ("blocks", "sequences", "courses", "variety", "homework")


def passed(codes, report):
    if codes == ():
        return report.ok
    if isinstance(codes, tuple):
        return set(codes) <= set(report.codes)
    return report.codes[:1] and report.codes[0] in ({codes} if isinstance(codes, str) else codes)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_exam(name, capsys):
    marks = {"single": [], "pair": [], "right": []}
    for codes, case, make in import_module(f"tests.exam.{name}").CASES:
        layer, inputs = make()
        report = check_gradients(layer, *inputs, rng=0)
        kind = "right" if codes == () else "pair" if isinstance(codes, tuple) else "single"
        marks[kind].append((passed(codes, report), case, codes, report.codes))
    shares = {kind: sum(bool(ok) for ok, *_ in rows) / len(rows) for kind, rows in marks.items()}
    missed = [row[1:] for rows in marks.values() for row in rows if not row[0]]
    with capsys.disabled():
        print(f"\n{name}: " + ", ".join(f"{kind} {100 * share:.0f} % of {len(marks[kind])}" for kind, share in shares.items()))
    assert shares["right"] == 1 and shares["single"] >= 0.95 and shares["pair"] >= 0.80, missed
