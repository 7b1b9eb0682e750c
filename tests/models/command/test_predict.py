"""What a finished run is good for: its model is made again, judged, and shown pictures."""
import importlib.util
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from PIL import Image

from chainrule.common import softmax
from chainrule.datasets import load_digits
from chainrule.models.command import main, pictures, runs

spec = importlib.util.spec_from_file_location("drawn", Path(__file__).with_name("drawn.py"))
drawn = importlib.util.module_from_spec(spec)
spec.loader.exec_module(drawn)


def call(*arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    assert call("train", "inception", "--epochs", 12, "--quiet", "--out", out) == 0
    return out / "inception-digits"


def test_evaluate_makes_the_model_again(folder, capsys):
    assert call("evaluate", folder) == 0
    shown = re.fullmatch(r"test accuracy (\S+) %, loss (\S+) \((\d+) of 360 samples wrong\)\n",
                         capsys.readouterr().out)
    model, training = runs.trained(folder)
    _, (x, t) = load_digits()
    wrong = (model.predict(x).argmax(axis=1) != t).sum()
    assert int(shown[3]) == wrong < 20 and shown[1] == f"{100 * (1 - wrong / 360):.1f}"
    assert training["data"] == "digits" and training["epochs"] == 12


def test_eighteen_of_twenty_drawn_digits(folder, tmp_path, capsys):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i}-{i % 10}.png" for i in range(100)]
    for i, path in enumerate(paths):
        drawn.photograph(i % 10, rng).save(path)
    assert call("predict", folder, *paths[:20]) == 0
    lines = capsys.readouterr().out.splitlines()
    right = [line.startswith(f"{path}: {path.stem[-1]} (") for path, line in zip(paths, lines)]
    assert len(right) == 20 and sum(right) >= 18
    assert imread(folder / "predictions.png").shape[0] > 20 * 100

    assert call("train", "--quiet", "--out", tmp_path) == 0          # and 9 of 10 among eighty more
    views = [pictures.views(path, **runs.PICTURES["digits"]) for path in paths[20:]]
    for run in folder, tmp_path / "mlp-digits":
        model, _ = runs.trained(run)
        seen = [softmax(model.predict(x)).mean(axis=0).argmax() for x in views]
        assert sum(digit == i % 10 for i, digit in enumerate(seen, 20)) >= 72


@pytest.mark.parametrize("change", [
    lambda grey: 255 - grey,                                                       # on black
    lambda grey: np.stack([grey, grey // 2 + 40, grey], axis=2),                   # coloured
    lambda grey: np.dstack([0 * grey, 0 * grey, 0 * grey, 255 - grey]),            # transparent
    lambda grey: np.kron(grey, np.ones((4, 4), np.uint8)),                         # large
    lambda grey: np.pad(grey, ((0, 200), (150, 0)), constant_values=grey[0, 0]),   # in a corner
    lambda grey: grey // 2 + np.linspace(0, 60, grey.shape[1]).astype(np.uint8),   # in the shade
])
def test_paper_colour_and_size_do_not_matter(change, tmp_path):
    """White paper with a black five, then the same in another way."""
    grey = np.asarray(Image.new("L", (200, 240), 255)).copy()
    for stroke in drawn.STROKES[5][0]:
        for x, y in np.concatenate([np.linspace(a, b, 50) for a, b in zip(stroke, stroke[1:])]):
            at = int(40 + 150 * y), int(30 + 120 * x)
            grey[at[0]:at[0] + 16, at[1]:at[1] + 16] = 0
    seen = []
    for name, a in (("plain", grey), ("changed", change(grey))):
        Image.fromarray(a).save(tmp_path / f"{name}.png")
        seen.append(pictures.views(tmp_path / f"{name}.png", **runs.PICTURES["digits"]))
    assert seen[0].shape == (27, 1, 8, 8) and abs(seen[0].mean() - 0.305) < 0.03
    assert abs(seen[0] - seen[1]).mean() < 0.06


def test_an_image_of_the_training_looks_as_before(tmp_path):
    """Ink and place are as in the data, within the blur of a picture of 8 x 8 pixels."""
    (x, _), _ = load_digits()
    alike = []
    for image in x[:20, 0]:
        large = np.pad(np.kron(1 - image, np.ones((16, 16))), 32, constant_values=1)
        Image.fromarray(np.uint8(255 * large)).save(tmp_path / "x.png")
        middle = pictures.views(tmp_path / "x.png", **runs.PICTURES["digits"])[0, 0]
        alike.append(np.corrcoef(middle.ravel(), image.ravel())[0, 1])
    assert np.mean(alike) > 0.85


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_what_is_no_run_and_no_picture_ends_with_one_line(folder, tmp_path, capsys):
    for command in (["evaluate"], ["predict", "x.png"]):
        assert call(command[0], tmp_path / "none", *command[1:]) == 2
        assert "model.json is missing; a run's folder is what chainrule train" in one_line(capsys)
    text = tmp_path / "text.png"
    text.write_text("hello")
    blank = tmp_path / "blank.png"
    Image.new("L", (50, 50), 200).save(blank)
    for path, message in ((text, "cannot read it"), (blank, "as good as blank"),
                          (tmp_path / "no.png", "there is no file")):
        assert call("predict", folder, path) == 2
        message = message.replace("cannot read it", "cannot be read as a picture of a digit")
        assert message in one_line(capsys)
    drawn.photograph(3, np.random.default_rng(0)).save(text)
    assert call("predict", folder, text, "--out", tmp_path / "no" / "p.png") == 2
    assert "cannot write" in one_line(capsys)
    assert call("evaluate", folder, "--data", "mnist", "--folder", tmp_path) == 2


@pytest.mark.parametrize("change", [
    {"class": "load_pretrained"}, {"class": "__import__"}, {"class": None}, {"arguments": [1]},
    {"arguments": {"depth": 3}}, {"arguments": {"input_shape": "x"}}, {"training": {}},
    {"training": {"data": "x"}}, {"arguments": {"input_shape": [1, 8, 8], "classes": 11}},
    {"class": ["MLP"]}, {"arguments": {"rng": 0}},
])
def test_a_damaged_model_json_makes_nothing(folder, tmp_path, change, capsys):
    made = json.loads((folder / "model.json").read_text()) | change
    (tmp_path / "model.json").write_text(json.dumps(made))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    assert call("evaluate", tmp_path) == 2
    assert "model" in one_line(capsys)
    for text in ("", "[]", "{", "[" * 100_000):
        (tmp_path / "model.json").write_text(text)
        assert call("evaluate", tmp_path) == 2
        assert "model.json cannot be read" in one_line(capsys).replace(os.sep, "/")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_help(command, capsys):
    assert call(command, "--help") == 0
    text = capsys.readouterr().out
    assert "RUN" in text and max(map(len, text.splitlines())) <= 100


def test_a_picture_of_16_bits(tmp_path):
    drawn = np.full((60, 60), 60_000, np.uint16)
    drawn[10:50, 28:33] = 20_000
    Image.fromarray(drawn).save(tmp_path / "one.png")
    grey = pictures.grey(tmp_path / "one.png")
    assert 0.29 < grey.min() < 0.32 and 0.9 < grey.max() < 0.93
