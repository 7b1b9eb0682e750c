"""The judge of ``chainrule grade``: what each layer of an assignment should give, beside what a
hand-in gives in a process of its own (``pupil.py``)."""
import configparser
import contextlib
import importlib.util
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ... import layers
from . import forwards
from .forwards import Finding, array, close, encoded

TRIALS = 3                            # draws of sizes and numbers: all must be right at each
CLOSE_GRADIENT = 1e-10                # central differences are no closer than some 1e-9
SIZES = range(3, 12)
LARGEST_ANSWER = 1 << 26  # bytes of one answer


@dataclass(frozen=True)
class Task:
    """A layer of an assignment, its shapes as texts."""
    name: str
    parameters: tuple
    inputs: tuple
    options: dict

    def draw(self, rng):
        """Parameters and inputs with sizes of this draw, all different."""
        letters = dict.fromkeys(re.findall("[A-Z]+", " ".join((*self.parameters, *self.inputs))))
        sizes = dict(zip(letters, rng.permutation(SIZES).tolist()))

        def size(word):
            if word.isdecimal():
                return int(word)
            if word not in sizes:
                raise ValueError(f"{word!r} is neither a number nor one of the first {len(SIZES)} "
                                 "sizes in capital letters")
            return sizes[word]

        def array(text):
            shape, below, bound = text.partition(" below ")
            shape = [size(word) for word in shape.split()]
            return rng.integers(0, size(bound), shape) if below else rng.normal(size=shape)
        return [array(text) for text in self.parameters], [array(text) for text in self.inputs]

    def reference(self, parameters):
        return getattr(layers, self.name)(*(p.copy() for p in parameters), **self.options)


def read_assignment(path):
    """The file's name in a hand-in, and the tasks; else ValueError."""
    config = configparser.ConfigParser()
    config.optionxform = str
    try:
        config.read_string(Path(path).read_text(encoding="utf-8-sig"))
        tasks = [task_of(name, config[name]) for name in config.sections() if name != "homework"]
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no assignment: {str(error).splitlines()[0]}") from None
    if not tasks:
        raise ValueError(f"{path} names no layer; a section such as [Affine] does")
    return config.get("homework", "file", fallback="layers_to_write.py"), tasks


def task_of(name, section):
    if name not in layers.__all__:
        raise ValueError(f"the assignment's layer [{name}] is none of chainrule.layers: "
                         f"{', '.join(layers.__all__)}")
    shapes = [tuple(part.strip() for part in section.get(key, "").split(",") if part.strip())
              for key in ("parameters", "inputs")]
    try:
        task = Task(name, *shapes, json.loads(section.get("options", "{}")))
        trial = Trial(task, np.random.default_rng(0))
        if not np.array_equal(trial.y, task.reference(trial.parameters).forward(*trial.inputs)):
            raise ValueError("what it gives is random, so there is nothing to mark it by")
    except Exception as error:
        raise ValueError(f"the assignment's [{name}] cannot be drawn: {error}") from None
    return task


class Trial:
    """A draw for a task, and what the layer gives for it."""

    def __init__(self, task, rng):
        self.task, (self.parameters, self.inputs) = task, task.draw(rng)
        layer = task.reference(self.parameters)
        self.y = np.asarray(layer.forward(*self.inputs), float)
        self.dout = np.asarray(rng.normal(size=self.y.shape))
        dx = layer.backward(self.dout if self.dout.ndim else float(self.dout))
        self.dx = list(dx) if isinstance(dx, tuple) else [dx]
        self.grads = layer.grads
        self.names = layer.names  # of the parameters, in the formula


class Ended(Exception):
    """A pupil that gives no more answers: ``kind`` and a sentence."""

    def __init__(self, kind, words):
        super().__init__(words)
        self.kind, self.words = kind, words


class Pupil:
    """The process of a hand-in."""

    def __init__(self, path, home, names, limits, shut):
        self.limits, self.number = limits, 0  # seconds for each layer, GB of memory
        environment = {**os.environ, "PYTHONUTF8": "1", "MPLBACKEND": "Agg", "HOME": str(home),
                       "MPLCONFIGDIR": str(home), "TMPDIR": str(home), "TEMP": str(home),
                       **{f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-B", str(Path(__file__).with_name("pupil.py"))], cwd=home,
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0))
        self.answers = queue.Queue(64)
        threading.Thread(target=self.read, daemon=True).start()
        self.write({"path": str(path), "home": str(home), "names": names,
                    "memory": int(limits.memory * 2**30), "shut": shut})

    def start(self):
        """Why the hand-in cannot be marked at all, or ""."""
        first = self.wait(60 + self.limits.seconds)  # Python and NumPy start, too
        if first.get("error"):
            return f"it cannot be read as Python: {first['error']}"
        self.scan, self.loaded = first["scan"], self.wait(self.limits.seconds)
        if self.loaded.get("error"):
            more = ("; what runs the program stands under if __name__ == \"__main__\":"
                    if self.loaded["kind"] == "exits" else "")
            return f"reading it ends with {self.loaded['error']}{more}"
        return ""

    def read(self):
        with contextlib.suppress(OSError, ValueError):
            while line := self.process.stdout.readline(LARGEST_ANSWER):
                self.answers.put(line)
        self.answers.put(b"")

    def write(self, message):
        with contextlib.suppress(OSError):  # it has ended: the answer says so
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def wait(self, seconds):
        try:
            line = self.answers.get(timeout=seconds)
        except queue.Empty:
            words = f"it takes longer than {seconds:g} s: an endless loop?"
            raise Ended("endless", words) from None
        if not line:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            code = self.process.returncode
            how = f"signal {-code}" if code and code < 0 else f"code {code}"
            raise Ended("died", f"it ended its process ({how}), where it should return a value")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Ended("died", "it writes into the judge's channel")
        for key in "error", "kind":
            if key in answer:
                answer[key] = str(answer[key])
        told = answer.get("told")
        answer["told"] = [str(words) for words in told] if isinstance(told, list) else []
        return answer

    def ask(self, what, trial, seconds):
        self.number += 1
        self.write({"do": what, "number": self.number, "name": trial.task.name,
                    "params": [encoded(p) for p in trial.parameters],
                    "inputs": [encoded(x) for x in trial.inputs],
                    "options": trial.task.options, "dout": encoded(trial.dout)})
        answer = self.wait(seconds)
        if answer.get("number") != self.number:
            raise Ended("died", "it forges the answers to the judge")
        return answer

    def close(self):
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)  # with all that it started
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()


@dataclass
class LayerMark:
    name: str
    points: list = field(default_factory=lambda: [0, 0])  # forward, backward
    findings: list = field(default_factory=list)
    refused: str = ""  # why nothing of it counts

    @property
    def mark(self):
        return sum(self.points)


@dataclass
class Mark:
    """The marks of one hand-in, or the ``error`` why nothing of it counts."""
    student: str
    layers: list
    error: str = ""

    @property
    def mark(self):
        return sum(layer.mark for layer in self.layers)

    @property
    def out_of(self):
        return 2 * len(self.layers)


def mark(student, source, helpers, tasks, seed, limits, shut):
    """The Mark of the file ``source``, with the files ``helpers`` beside it."""
    result = Mark(student, [LayerMark(task.name) for task in tasks])
    with tempfile.TemporaryDirectory(prefix="hand-in-", ignore_cleanup_errors=True) as home:
        home = Path(home).resolve()
        path = home / source.name
        try:
            for file in (source, *helpers):
                copy = home / file.relative_to(source.parent)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
        except OSError as error:
            result.error = f"{source.name} cannot be read: {error.strerror or error}"
            return result
        pupil = None
        try:
            for task, layer in zip(tasks, result.layers):
                if pupil is None:
                    pupil = Pupil(path, home, [task.name for task in tasks], limits, shut)
                    result.error = pupil.start()
                if result.error:
                    break
                if not layer_mark(pupil, task, layer, seed, limits):
                    pupil = pupil.close()  # a fresh one for the next layer
        except Ended as end:
            result.error = f"while {path.name} is read, {end.words}"
        finally:
            if pupil is not None:
                pupil.close()
    return result


def layer_mark(pupil, task, layer, seed, limits):
    """Fill in a layer's mark; True if the pupil can answer about the next one."""
    layer.refused = pupil.scan.get("refused", {}).get(task.name, "")
    if not layer.refused and pupil.loaded.get("told"):
        layer.refused = f"while it is read, it {pupil.loaded['told'][0]}"
    if layer.refused:
        return True
    rng = np.random.default_rng([seed, *task.name.encode()])
    trials = [Trial(task, rng) for _ in range(TRIALS)]
    for number, method in enumerate(("forward", "backward")):
        try:
            answers = [pupil.ask(method, trial, limits.seconds) for trial in trials]
            told = [words for answer in answers for words in answer["told"]]
            if told:
                layer.refused, layer.points = f"it {told[0]}", [0, 0]
                return False
            if answers[0].get("missing"):
                words = f"there is no class {task.name}"
                layer.findings.append(Finding("not-begun", "", words=words))
                return True
            if method == "forward":
                layer.findings += forwards.wrong(zip(trials, answers))
            else:
                layer.findings += backward_wrong(pupil, trials, answers, limits)
        except Ended as end:
            layer.findings.append(Finding(end.kind, method, words=end.words))
            return False
        if layer.findings:
            return not any(answer.get("error") for answer in answers)
        layer.points[number] = 1
    return True


def backward_right(trial, answer):
    for given in (answer.get("first"), answer.get("second")):
        if not isinstance(given, dict):
            return False
        dx = given.get("dx")
        dx = dx if isinstance(dx, list) else [dx]
        if len(dx) < len(trial.dx) or len(given.get("grads", ())) != len(trial.grads):
            return False
        pairs = [*zip(dx, trial.dx), *zip(given["grads"], trial.grads)]
        if not all(g is None or close(array(a), np.asarray(g, float), CLOSE_GRADIENT)
                   for a, g in pairs):
            return False
    return True


def backward_wrong(pupil, trials, answers, limits):
    """The findings on a backward: the checker's, and what the judge saw."""
    errors = [answer for answer in answers if answer.get("error")]
    found = [Finding(answer["kind"], "backward", words=answer["error"]) for answer in errors[:1]]
    if found and found[0].code != "raises":
        return found
    right = all(map(backward_right, trials, answers))
    try:
        checked = pupil.ask("check", trials[0], 6 * limits.seconds)
    except Ended as end:
        checked = {"findings": [{"code": end.kind, "where": "x", "evidence": end.words}]}
    lines = pupil.scan.get("lines", {}).get(trials[0].task.name, {})
    found += [Finding(str(f.get("code")), "backward", place(str(f.get("where")), trials[0]),
                      str(f.get("evidence")), line_of(f, lines))
              for f in checked.get("findings") or () if isinstance(f, dict)
              if not (errors and f.get("code") == "unrecognised")]
    if any(answer.get("forwards", 0) for answer in answers):
        found.append(Finding("numerical", "backward", "x", "backward calls forward at other "
                             "inputs: a numerical derivative is no backward pass"))
    if any(answer.get("changed_dout") for answer in answers) and not found:
        found.append(Finding("mutates-input", "backward", "x", "backward changes dout"))
    if not right and not found:
        found.append(Finding("unrecognised", "backward", "x", "its gradients are not those of the "
                             "formula, at other sizes and numbers"))
    return found


def place(where, trial):
    """``params[1]`` with the name that it has in the formula."""
    found = re.fullmatch(r"params\[(\d+)\]", where)
    if found and int(found[1]) < len(trial.names):
        return f"{trial.names[int(found[1])]} ({where})"
    return where


def line_of(finding, lines):
    """The line that a finding names, or the one that makes its gradient."""
    if isinstance(finding.get("line"), int):
        return finding["line"], str(finding.get("text"))
    line = lines.get(finding.get("where"))
    return tuple(line) if line else None


def forbidden():
    """The folders that a hand-in must not read: chainrule's layers, models and chapters."""
    package = __package__.split(".")[0]
    found = []
    for name in ("layers", "models", "notebooks"):
        spec = importlib.util.find_spec(f"{package}.{name}")
        found += map(os.path.realpath, spec.submodule_search_locations or () if spec else ())
    return found

