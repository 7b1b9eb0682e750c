"""``chainrule grade``: right work gets its marks, each mistake its name, and no cheat a point."""
import csv
import importlib.util
import json
from pathlib import Path

import pytest

from chainrule.models.command import main

ROOT = Path(__file__).parents[3]
SOLVED = (ROOT / "notebooks" / "homework_solutions" / "layers_to_write.py").read_text(encoding="utf-8")
spec = importlib.util.spec_from_file_location("cheats", Path(__file__).with_name("cheats.py"))
cheats = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cheats)


def call(*arguments):
    try:
        return main(["grade", *map(str, arguments)])
    except SystemExit as end:
        return end.code


def grade(folder, *options):
    """The entries of marks.json, by student."""
    assert call(folder, "--seed", 3, *options) == 0
    with open(folder / "marks.json", encoding="utf-8") as file:
        return {entry["student"]: entry for entry in json.load(file)["students"]}


def points(entry):
    return {layer["name"]: layer["mark"] for layer in entry["layers"]}


def said(entry):
    return " ".join([entry["error"], *(layer["refused"] for layer in entry["layers"]),
                     *(f["evidence"] for layer in entry["layers"] for f in layer["findings"])])


@pytest.fixture(scope="module")
def cheated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class").resolve()
    (folder / "solved.py").write_text(SOLVED, encoding="utf-8")
    for i, cheat in enumerate(cheats.CHEATS):
        text = SOLVED
        if cheat.replaced:
            assert text.count(cheat.replaced[0]) == 1
            text = text.replace(*cheat.replaced)
        text = text.replace("FOLDER", repr(str(folder))) + "\n" + cheat.added + "\n"
        (folder / f"{i:03}.py").write_text(text, encoding="utf-8")
    before = (folder / "solved.py").read_bytes()
    marks = grade(folder, "--seconds", 3, "--memory", 1.5)
    assert (folder / "solved.py").read_bytes() == before
    with open(folder / "marks.csv", encoding="utf-8", newline="") as file:
        assert [row["student"] for row in csv.DictReader(file)] == sorted(marks)
    return marks


def test_right_work_beside_cheats_gets_all_its_marks(cheated):
    assert points(cheated["solved"]) == dict.fromkeys(cheats.ALL, 2)


@pytest.mark.parametrize("i, cheat", list(enumerate(cheats.CHEATS)), ids=[cheat.name for cheat in cheats.CHEATS])
def test_a_cheat_costs_what_it_touches_and_nothing_else(i, cheat, cheated):
    entry = cheated[f"{i:03}"]
    assert cheat.told in said(entry), said(entry)
    lost = {layer for layer, mark in points(entry).items() if mark < 2}
    if cheat.lost or not cheat.told:
        assert lost == set(cheat.lost), said(entry)
        assert not any(points(entry)[layer] for layer in cheat.lost)
    else:
        assert points(entry)["ReLU"] == 1 and lost == {"ReLU"}          # the forward is their own


# A line of the solved homework, what stands there instead, and what it is called: one mistake a hand-in.
MISTAKES = {
    "no bias": ("x @ W + b", "x @ W", "Affine", "parameter-not-used"),
    "bias twice": ("x @ W + b", "x @ W + 2 * b", "Affine", "wrong-values"),
    "transposed": ("x @ W + b", "(x @ W + b).T", "Affine", "transposed-output"),
    "identity": ("return x * self.mask", "return x", "ReLU", "another-function"),
    "mask alone": ("return x * self.mask", "return self.mask * 1.0", "ReLU", "another-function"),
    "input changed": ("return x * self.mask", "x *= self.mask; return x", "ReLU", "mutates-input"),
    "random": ("return x * self.mask", "return x * self.mask + np.random.rand()", "ReLU", "constant-added"),
    "returns nothing": ("return x * self.mask", "x * self.mask", "ReLU", "no-array"),
    "a list": ("return x * self.mask", "return [[1], [2, 3]]", "ReLU", "no-array"),
    "twice": ("return x * self.mask", "return 2 * x * self.mask", "ReLU", "wrong-factor"),
    "negative": ("return x * self.mask", "return -x * self.mask", "ReLU", "wrong-sign-in-forward"),
    "first row": ("return x * self.mask", "y = x * self.mask; y[0] = 0; return y", "ReLU", "some-rows-wrong"),
    "other sigmoid": ("1 / (1 + np.exp(-x))", "np.tanh(x)", "Sigmoid", "another-function"),
    "overflow": ("1 / (1 + np.exp(-x))", "np.exp(1000 * x)", "Sigmoid", "not-finite"),
    "float32": ("1 / (1 + np.exp(-x))", "(1 / (1 + np.exp(-x))).astype(np.float32)", "Sigmoid", "low-precision"),
    "flat": ("return self.params[0][ids]", "return self.params[0][ids.ravel()]", "Embedding", "wrong-shape"),
    "sum": (", t]).mean()", ", t]).sum()", "SoftmaxWithLoss", "no-batch-mean"),
    "sample losses": (", t]).mean()", ", t])", "SoftmaxWithLoss", "no-batch-mean"),
    "wrong sample losses": (", t]).mean()", ", t] + 1)", "SoftmaxWithLoss", "wrong-shape"),
    "an entry": (", t]).mean()", ", t]).mean(keepdims=True)", "SoftmaxWithLoss", "wrong-shape"),
    "error": ("self.ids = ids", "self.ids = idz", "Embedding", "raises"),
    "db averaged": ("dout.sum(axis=0)", "dout.mean(axis=0)", "Affine", "divided-by-N"),
    "dW transposed": ("self.x.T @ dout", "(dout.T @ self.x)", "Affine", "missing-transpose"),
    "grads added": ("[0][...] = self.x.T", "[0][...] += self.x.T", "Affine", "accumulates"),
    "grads replaced": ("self.grads[0][...] = self.x.T @ dout", "self.grads[0] = self.x.T @ dout", "Affine", "rebound-grads"),
    "dout passed on": ("return dout * self.mask", "return dout", "ReLU", "missing-mask"),
    "sign": ("dout * self.y * (1 - self.y)", "-dout * self.y * (1 - self.y)", "Sigmoid", "wrong-sign"),
    "dout forgotten": ("dout * self.y * (1 - self.y)", "self.y * (1 - self.y)", "Sigmoid", "ignores-upstream"),
    "equal ids": ("np.add.at(self.grads[0], self.ids, dout)", "self.grads[0][self.ids] = dout", "Embedding", "repeated-index"),
    "no minus one": ("dx[np.arange(len(dx)), self.t] -= 1", "pass", "SoftmaxWithLoss", "missing-label-subtraction"),
    "not by N": ("dout * dx / len(dx)", "dout * dx", "SoftmaxWithLoss", "scaled-by-N"),
}


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes") / "week 3"
    for name, (right, wrong, *_) in MISTAKES.items():
        assert SOLVED.count(right) in (1, 2), name
        (folder / name).mkdir(parents=True)
        (folder / name / "layers_to_write.py").write_text(SOLVED.replace(right, wrong, 1), encoding="utf-8")
    (folder / "notes.pdf").write_bytes(b"%PDF")
    (folder / "empty").mkdir()
    return folder, grade(folder)


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_has_its_name_and_costs_its_layer_alone(name, mistaken):
    *_, layer, code = MISTAKES[name]
    entry = mistaken[1][name]
    assert code in entry["codes"], said(entry)
    lost = {of: 2 - mark for of, mark in points(entry).items() if mark < 2}
    assert list(lost) == [layer]
    place, = (item for item in entry["layers"] if item["name"] == layer)
    forward = place["findings"][0]["method"] == "forward"
    assert (place["forward"], place["backward"]) == ((0, 0) if forward else (1, 0))


def test_a_line_is_named(mistaken):
    finding, = (f for layer in mistaken[1]["db averaged"]["layers"] for f in layer["findings"])
    wrong = SOLVED.replace("dout.sum(axis=0)", "dout.mean(axis=0)").splitlines()
    assert "dout.mean" in wrong[finding["line"] - 1] and finding["where"] == "b (params[1])"


def test_the_tables(mistaken, capsys):
    folder, marks = mistaken
    with open(folder / "marks.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["student", "mark", "out_of", *cheats.ALL]
    assert {row[0]: list(map(int, row[1:])) for row in rows[1:]} == {
        name: [entry["mark"], 10, *points(entry).values()] for name, entry in marks.items()}
    assert marks["empty"]["mark"] == 0 and "no .py file" in marks["empty"]["error"]
    assert "notes.pdf" not in marks


def test_a_hand_in_at_which_the_judge_fails_costs_the_others_nothing(tmp_path, monkeypatch):
    from chainrule.models.command import marking
    for name in "Ada", "Bob":
        (tmp_path / f"{name}.py").write_text(SOLVED, encoding="utf-8")
    ask, pupils = marking.Pupil.ask, []

    def forged(pupil, what, trial, seconds):
        answer = ask(pupil, what, trial, seconds)
        if what == "backward" and not pupils:
            pupils.append(pupil)
        return answer | {"first": {"grads": None}} if pupil in pupils else answer
    monkeypatch.setattr(marking.Pupil, "ask", forged)
    one, other = sorted(grade(tmp_path, "--jobs", "1").values(), key=lambda entry: entry["mark"])
    assert one["mark"] == 0 and "mark it by hand: TypeError" in one["error"] and other["mark"] == 10
    assert pupils[0].process.returncode is not None


def test_the_page_about_the_class(mistaken):
    folder, marks = mistaken
    page = (folder / "class.html").read_text(encoding="utf-8")
    assert f"1 of {len(marks)} divided by N once too often" in page
    assert f"2 of {len(marks)} took no mean over the batch" in page
    assert "http" not in page and "<script" not in page
    assert all(name in page for name in MISTAKES)


def test_gradescope_gets_a_test_for_each_method(mistaken):
    folder, _ = mistaken
    results = json.loads((folder / "feedback" / "db averaged" / "results.json").read_text(encoding="utf-8"))
    assert results["score"] == 9 and len(results["tests"]) == 10
    failed, = (test for test in results["tests"] if test["status"] == "failed")
    assert failed["name"] == "Affine.backward" and failed["max_score"] == 1 and "b (params[1])" in failed["output"]


@pytest.mark.parametrize("level", range(4))
def test_hint_levels_tell_more_and_more(level, mistaken):
    folder, marks = mistaken
    from chainrule.gradcheck.rules import HINTS
    from chainrule.models.command import classroom, forwards
    for name, entry in marks.items():
        for layer in entry["layers"]:
            for f in layer["findings"]:
                line = (f["line"], "the line") if f["line"] else None
                text = classroom.hint(layer["name"], forwards.Finding(f["code"], f["method"], f["where"], f["evidence"], line),
                                      level)
                assert f"{layer['name']}.{f['method']}" in text
                if f["code"] in classroom.OPEN:
                    assert f["evidence"] in text
                    continue
                formula = HINTS[f["code"]] if f["method"] == "backward" and f["code"] in HINTS else f["evidence"]
                assert (formula in text) == (level >= 2), name
                assert (f"\n    {f['code']}" in text) == (level == 3)
                assert (f"the gradient of {f['where']}" in text) == (level >= 1) or f["method"] == "forward"
                assert f["line"] is None or (f"line {f['line']}" in text) == (level == 3)


def test_a_place_never_holds_the_repair():
    """Over every mistake planted for the checker: at level 1 there is none of what it knows."""
    from chainrule.gradcheck.rules import HINTS
    from chainrule.models.command import classroom, forwards
    from tests.common.gradcheck.test_planted import PLANTED
    for _, codes, name, _ in PLANTED:
        for code in [codes] if isinstance(codes, str) else codes:
            finding = forwards.Finding(code, "backward", "params[0]", "backward = -1 × numerical", (7, "dx = -dout"))
            for level in 0, 1:
                text = classroom.hint("Layer", finding, level)
                known = [code, HINTS[code], finding.words, "line", "dout", *HINTS[code].split("; ")]
                assert not [words for words in known if words in text], name


def test_every_code_has_words_for_the_class():
    from chainrule.gradcheck.rules import HINTS
    from chainrule.models.command import classroom
    assert set(HINTS) <= set(classroom.DID)


def test_a_single_hand_in_and_another_assignment(tmp_path, capsys):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.py").write_text(TANH + """
class Convolution:
    def __init__(self, W, b, stride):
        self.params, self.grads, self.stride = [W, b], [np.zeros_like(W), np.zeros_like(b)], stride
    def forward(self, x):
        raise NotImplementedError
""", encoding="utf-8")
    (tmp_path / "week4.cfg").write_text("[Tanh]\ninputs = N D\n[Convolution]\nparameters = F C 3 3, F\n"
                                        "inputs = N C 7 8\noptions = {\"stride\": 2}\n", encoding="utf-8")
    assert call(tmp_path / "sub", "--one", "--assignment", tmp_path / "week4.cfg", "--out", tmp_path / "results") == 0
    results = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
    assert [test["score"] for test in results["tests"]] == [1, 1, 0, 0]
    assert "NotImplementedError" in results["tests"][2]["output"]


TANH = """
import numpy as np
class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y
    def backward(self, dout):
        return dout * (1 - self.y ** 2)
"""


def test_a_hand_in_is_a_folder_with_what_belongs_to_it(tmp_path):
    for name, text in {
            "copies/layers_to_write.py": TANH, "copies/.ipynb_checkpoints/layers_to_write.py": TANH,
            "copies/env/lib/site-packages/numpy/layers_to_write.py": TANH, "copies/__MACOSX/layers_to_write.py": TANH,
            "helpers/layers_to_write.py": TANH.replace("import numpy as np", "from lib.more import np"),
            "helpers/lib/__init__.py": "", "helpers/lib/more.py": "import numpy as np",
            "two/a/layers_to_write.py": TANH, "two/b/layers_to_write.py": TANH}.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(text)
    (tmp_path / "in" / "nowhere.py").symlink_to(tmp_path / "nothing.py")
    # as Windows' editor writes it
    (tmp_path / "a.cfg").write_text("\ufeff[Tanh]\ninputs = N D\n", encoding="utf-8")
    marks = grade(tmp_path / "in", "--assignment", tmp_path / "a.cfg")
    assert {name: entry["mark"] for name, entry in marks.items()} == {"copies": 2, "helpers": 2, "nowhere.py": 0, "two": 0}
    assert str(Path("b", "layers_to_write.py")) in marks["two"]["error"] and "cannot be read" in marks["nowhere.py"]["error"]
    alone = tmp_path / "in" / "copies" / "layers_to_write.py"
    assert call(alone, "--one", "--assignment", tmp_path / "a.cfg") == 0
    assert json.loads(alone.with_name("results.json").read_text(encoding="utf-8"))["score"] == 2


STATIC = """
import numpy as np
class Tanh:
    @staticmethod
    def forward(x):
        Tanh.y = np.tanh(x)
        return Tanh.y
    @classmethod
    def backward(cls, dout):
        return dout * (1 - cls.forward(cls.x) ** 2) if hasattr(cls, "x") else dout * (1 - cls.y ** 2)
"""


@pytest.mark.parametrize("student", ["signal", "abc", "numpy", "layers"])
def test_a_student_may_be_called_as_a_module_is(student, tmp_path):
    (tmp_path / "a.cfg").write_text("[Tanh]\ninputs = N D\n")
    (tmp_path / "in").mkdir()
    text = TANH.replace("class", "import dataclasses\n@dataclasses.dataclass\nclass")
    (tmp_path / "in" / f"{student}.py").write_text(text)
    (tmp_path / "in" / "static.py").write_text(STATIC)
    marks = grade(tmp_path / "in", "--assignment", tmp_path / "a.cfg")
    assert (marks[student]["mark"], marks["static"]["mark"]) == (2, 2), marks


def test_a_full_disk_is_said_of_the_folder_that_is_written_to(tmp_path, capsys, monkeypatch):
    from chainrule.models.command import grade as command

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "write_whole", full)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann.py").write_text(TANH)
    (tmp_path / "a.cfg").write_text("[Tanh]\ninputs = N D\n")
    assert call(tmp_path / "in", "--assignment", tmp_path / "a.cfg", "--out", tmp_path / "there") == 2
    assert capsys.readouterr().err.endswith(f"{tmp_path / 'there'}: No space left on device\n")


@pytest.mark.parametrize("text, words", [
    ("[Dropout]\ninputs = N D", "what it gives is random"), ("[Tanh]\ninputs = n d", "'n' is neither a number nor"),
    ("[Tanh]\ninputs = A B C D E F G H I J", "'J' is neither a number nor one of the first 9 sizes")])
def test_an_assignment_that_cannot_be_marked(text, words, tmp_path, capsys):
    (tmp_path / "a.cfg").write_text(text)
    assert call(tmp_path, "--assignment", tmp_path / "a.cfg") == 2 and words in capsys.readouterr().err


def test_gradescopes_autograder_marks_with_what_is_in_the_zip(tmp_path):
    import os
    import subprocess
    import sys
    import zipfile
    assert call("--gradescope", tmp_path / "autograder.zip") == 0
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        archive.extractall(tmp_path / "source")
        assert {"setup.sh", "run_autograder", "assignment.cfg", "chainrule/layers/affine.py"} <= set(archive.namelist())
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
    assert "numpy" in (tmp_path / "source" / "setup.sh").read_text()
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "layers_to_write.py").write_text(SOLVED, encoding="utf-8")
    script = (tmp_path / "source" / "run_autograder").read_text().replace("/autograder", str(tmp_path))
    words = script.replace("\\\n", " ").splitlines()[-1].split()
    assert words[1] == "python3"
    done = subprocess.run([sys.executable, *words[2:]], cwd=tmp_path / "source", capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(tmp_path / "source")})
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))["score"] == 10


def test_the_zip_takes_every_package_along():
    import configparser

    from chainrule.models.command.grade import packages
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert {name for name, _ in packages("chainrule")} == set(config["options"]["packages"].split()) - {"chainrule.notebooks"}


def test_the_template_is_copied_without_the_solutions(tmp_path, capsys):
    assert call("--template", tmp_path / "week3") == 0
    names = {path.name for path in (tmp_path / "week3").iterdir()}
    assert {"layers_to_write.py", "test_homework.py", "assignment.cfg", "ASSIGNMENT.md"} <= names
    assert not [name for name in names if "solution" in name]
    assert call("--template", tmp_path / "week3") == 2
    assert "is there already" in capsys.readouterr().err


def test_wrong_calls_are_one_line_and_code_2(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    (tmp_path / "a.cfg").write_text("[Afine]\ninputs = N D\n")
    (tmp_path / "b.cfg").write_text("[Affine]\ninputs = N D\n")
    for arguments, words in ((["nowhere"], "there is no folder nowhere"), ([], "the folder of the hand-ins is missing"),
                             ([tmp_path / "none"], "holds no hand-in"),
                             ([tmp_path, "--assignment", tmp_path / "a.cfg"], "layer [Afine] is none of chainrule.layers"),
                             ([tmp_path, "--assignment", tmp_path / "b.cfg"], "[Affine] cannot be drawn"),
                             ([tmp_path, "--assignment", tmp_path / "no.cfg"], "no.cfg: No such file"),
                             ([tmp_path, "--hint-level", 4], "invalid choice"), ([tmp_path, "--seconds", 0], "positive")):
        assert call(*arguments) == 2
        error = capsys.readouterr().err
        assert words in error and error.startswith("chainrule grade: ") and error.count("\n") == 1


HONEST = {
    "the base class": """
import numpy as np
from chainrule.common import Layer, sigmoid
class Affine(Layer):
    shapes = "x (N, D), W (D, M), b (M) -> y (N, M)"
    def __init__(self, W, b):
        super().__init__(W=W, b=b)
    def forward(self, x):
        self.cache = x
        return x @ self.W + self.b
    def backward(self, dout):
        self.dW[...] = self.cache.T @ dout
        self.db[...] = dout.sum(axis=0)
        return dout @ self.W.T
class Sigmoid(Layer):
    def forward(self, x):
        self.cache = sigmoid(x)
        return self.cache
    def backward(self, dout):
        return dout * self.cache * (1 - self.cache)
""",
    "imports for work at home": """
import inspect, gc, os, sys, collections, dataclasses, functools, logging, typing, warnings, math
import matplotlib.pyplot as plt
import numpy as np
import scipy.special
from chainrule.gradcheck import check_gradients, numerical_gradient
from chainrule.layers import *
from chainrule.layers import Affine as Reference
import chainrule.models
warnings.filterwarnings("ignore")
np.set_printoptions(precision=3)
np.random.seed(0)
plt.rcParams["figure.figsize"] = 4, 3
logging.getLogger(__name__).info("ready")
Point = collections.namedtuple("Point", "x y")
@dataclasses.dataclass
class Kept:
    x: np.ndarray
class Affine:
    modules: list = []
    def __init__(self, W, b):
        self.params, self.grads, self.modules = [W, b], [np.zeros_like(W), np.zeros_like(b)], {}
    def forward(self, x):
        self.kept = Kept(x)
        return np.dot(x, self.params[0]) + self.params[1]
    def backward(self, dout):
        dW, db = np.dot(self.kept.x.T, dout), np.einsum("nm->m", dout)
        for mine, g in zip(self.grads, (dW, db)):
            mine[:] = g
        return np.dot(dout, self.params[0].T)
class Sigmoid:
    def __init__(self):
        self.params, self.grads = [], []
    def forward(self, x):
        self.x = x
        return scipy.special.expit(x)
    def backward(self, dout):
        return dout * self.forward(self.x) * (1 - self.forward(self.x))
def test():
    assert check_gradients(Affine(np.ones((2, 3)), np.ones(3)), np.ones((7, 2)))
    np.testing.assert_allclose(Affine.forward, Reference.forward)
if __name__ == "__main__":
    Reference.forward = None
    os.system("true")
    test()
""",
}


def test_honest_work_in_other_styles_gets_its_marks(tmp_path):
    for name, text in HONEST.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    marks = grade(tmp_path)
    for entry in marks.values():
        assert [points(entry)[name] for name in ("Affine", "Sigmoid", "Embedding")] == [2, 2, 0], said(entry)
    assert "there is no class Embedding" in said(marks["the base class"])


def test_the_judge_compares_with_values_of_its_own():
    import copy

    import numpy as np

    from chainrule.models.command import forwards, marking
    _, tasks = marking.read_assignment(ROOT / "notebooks" / "homework_template" / "assignment.cfg")
    for task in tasks:
        trial = marking.Trial(task, np.random.default_rng(0))
        once = {"dx": forwards.encoded(trial.dx[0]) if trial.dx[0] is not None else None,
                "grads": [forwards.encoded(g) for g in trial.grads]}
        right = {"y": forwards.encoded(trial.y), "first": once, "second": copy.deepcopy(once)}
        assert marking.backward_right(trial, right)
        for which in "first", "second":
            for item in [right[which]["dx"], *right[which]["grads"]]:
                if item is not None:
                    changed = copy.deepcopy(right)
                    target = (changed[which]["dx"] if item is right[which]["dx"] else
                              changed[which]["grads"][right[which]["grads"].index(item)])
                    target["values"][0] += 1e-6                          # what central differences may be off
                    assert not marking.backward_right(trial, changed)
        assert not marking.backward_right(trial, {**right, "second": None})
        assert not marking.backward_right(trial, {**right, "first": {"dx": once["dx"], "grads": [None] * len(trial.grads)}}) \
            or not trial.grads


def test_each_marking_draws_other_sizes_and_a_seed_draws_them_again():
    import numpy as np

    from chainrule.models.command import marking
    _, (affine, *_) = marking.read_assignment(ROOT / "notebooks" / "homework_template" / "assignment.cfg")
    shapes = [affine.draw(np.random.default_rng(seed))[0][0].shape for seed in range(20)]
    assert len(set(shapes)) > 5 and affine.draw(np.random.default_rng(3))[0][0].shape == shapes[3]
    assert all(len({*p[0].shape, len(x[0])}) == 3 for p, x in map(affine.draw, map(np.random.default_rng, range(20))))


def test_a_trial_has_a_gradient_for_each_input():
    import numpy as np

    from chainrule.models.command import marking
    trial = marking.Trial(marking.Task("Multiply", (), ("N D", "N D"), {}), np.random.default_rng(0))
    a, b = trial.inputs
    for given, wanted in zip(trial.dx, (trial.dout * b, trial.dout * a), strict=True):
        np.testing.assert_allclose(given, wanted)


def test_a_layer_is_followed_into_the_functions_that_it_calls():
    from chainrule.models.command.scan import scan
    text = (b"from chainrule.layers import ReLU as R\n"
            b"def second(x): return R().forward(x)\n"
            b"def first(x): return second(x)\n"
            b"class ReLU:\n    def forward(self, x): return first(x)\n"
            b"class Tanh:\n    def forward(self, x): return x\n")
    assert scan(text, ["ReLU", "Tanh"])["refused"] == {
        "ReLU": "line 2 uses chainrule.layers.ReLU: the layers are to be written, not imported"}
