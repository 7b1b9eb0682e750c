"""A run's model, exported: every format of every model that ``chainrule train`` makes, and what is wrong with a call."""
import os

import numpy as np
import pytest

from chainrule.datasets import load_digits
from chainrule.models import load_torch_state
from chainrule.models.command import main, runs


def call(*arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code


@pytest.fixture
def run(tmp_path):
    """A function of a model's name: the folder of its run, not trained, with weights all the same."""
    def make(name):
        kind, arguments = runs.MODELS[name][1]((1, 8, 8), 10)
        folder = tmp_path / f"{name}-digits"
        folder.mkdir()
        runs.make(kind, arguments, 0).save(folder / runs.WEIGHTS)
        runs.describe(folder, kind, arguments, {"data": "digits"})
        return folder
    return make


@pytest.mark.parametrize("name", runs.MODELS)
def test_the_weights_for_torch_are_those_of_the_run(name, run, capsys):
    folder = run(name)
    assert call("export", folder, "--to", "torch") == 0
    path = folder / f"{name}_digits.safetensors"
    assert capsys.readouterr().out == f"{path}\n"
    model, _ = runs.trained(folder)
    before = [p.copy() for p in model.params]
    for p in model.params:
        p += 1
    load_torch_state(model, path)
    assert all(map(np.array_equal, before, model.params))


@pytest.mark.parametrize("name", runs.MODELS)
def test_onnx_takes_the_images_of_the_data(name, run, tmp_path, capsys):
    for package in "onnx_ir", "onnxruntime":
        pytest.importorskip(package, reason=f"{package} is not installed")
    import onnxruntime
    folder = run(name)
    (tmp_path / "out").mkdir()
    assert call("export", folder, "--to", "onnx", "--out", tmp_path / "out") == 0
    path = tmp_path / "out" / f"{name}_digits.onnx"
    assert capsys.readouterr().out == f"{path}\n"
    x, _ = load_digits()[1]
    y, = onnxruntime.InferenceSession(path).run(None, {"x": x[:50]})
    np.testing.assert_allclose(y, runs.trained(folder)[0].predict(x[:50]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", runs.MODELS)
def test_source_and_weights_stand_side_by_side(name, run, capsys):
    folder = run(name)
    assert call("export", folder, "--to", "source") == 0
    path = folder / f"{name}_digits.py"
    assert capsys.readouterr().out == f"{path}\n{path.with_suffix('.safetensors')}\n"
    torch = pytest.importorskip("torch", reason="torch is not installed")
    names = {"__file__": str(path)}
    exec(path.read_text(), names)
    x, _ = load_digits()[1]
    y = names["load"]()(torch.tensor(x[:50])).detach().numpy()
    np.testing.assert_allclose(y, runs.trained(folder)[0].predict(x[:50]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arguments, message", [
    ([], "the following arguments are required: RUN, --to"),
    (["RUN"], "the following arguments are required: --to"),
    (["RUN", "--to", "onxx"], "no format is called 'onxx'; there is onnx, torch, source (did you mean onnx?)"),
    (["nothing", "--to", "torch"], "nothing/model.json is missing"),
    (["RUN", "--to", "torch", "--out", "no/folder"], "no/folder"),
    (["RUN", "--onnx"], "there is no option --onnx; did you mean"),
])
def test_a_wrong_call_gets_one_line(arguments, message, run, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder = run("mlp")
    assert call("export", *(folder if a == "RUN" else a for a in arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("chainrule export: ") and message in error and error.count("\n") == 1


def test_help_says_what_is_kept_and_what_is_lost(capsys):
    assert call("export", "--help") == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("onnx", "torch", "source", "keeps", "lost",
                                         "optimizer", "register_exporter", "running statistics"))


def test_without_the_extra_a_sentence(run, capsys, monkeypatch):
    import sys
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    assert call("export", run("mlp"), "--to", "onnx") == 2
    assert "MLP.to_onnx needs onnx-ir" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["model", "Checkpoint"])
@pytest.mark.parametrize("kind", ["torch", "source"])
def test_a_run_of_any_name_keeps_its_own_weights(name, kind, run, capsys):
    folder = run("mlp")
    folder = folder.rename(folder.with_name(name))
    before = (folder / runs.WEIGHTS).read_bytes()
    assert call("export", folder, "--to", kind) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(folder / f"_{name}.safetensors")
    assert (folder / runs.WEIGHTS).read_bytes() == before


def test_python_can_import_what_a_run_of_any_name_becomes(run):
    folder = run("mlp")
    folder = folder.rename(folder.with_name("3. Lauf"))
    assert call("export", folder, "--to", "source") == 0
    assert (folder / "_3_Lauf.py").exists() and "_3_Lauf".isidentifier()


def test_a_file_that_cannot_be_written_is_named_as_asked_for(run, capsys):
    assert call("export", run("mlp"), "--to", "torch", "--out", "no/folder") == 2
    path = os.path.join("no", "folder", "mlp_digits.safetensors")
    assert capsys.readouterr().err.endswith(f"to_torch_state: No such file or directory: {path!r}\n")
