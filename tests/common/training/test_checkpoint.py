"""A training that is killed goes on from its file, bit for bit; other files are refused."""
import copy
import dataclasses
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from chainrule.common import Layer, accuracy, r2
from chainrule.common.engine import compiled
from chainrule.common.files import read_arrays, write_arrays
from chainrule.common.layer import held
from chainrule.datasets import batches, random_shifts, text_batches
from chainrule.layers import Affine, BatchNorm, Dropout, ReLU, SoftmaxWithLoss, Tanh
from chainrule.models import LanguageModel, Sequential
from chainrule.optimizers import SGD, Adam, Momentum, cosine_decay
from chainrule.training import Checkpoint, EarlyStopping, History, ReduceOnPlateau, Trainer
from tests.errors import refused

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4)).astype(np.float32)
T = np.arange(50) % 3


class Killed(Exception):
    pass


def after(steps):
    """A callback that breaks off after so many steps, in the place of a kill."""
    class Break:
        seen = 0

        def after_step(self, trainer):
            self.seen += 1
            if self.seen == steps:
                raise Killed

        def __call__(self, trainer):
            pass
    return Break()


def net(rng, hidden=8, activation=ReLU):
    return Sequential(Affine.init(4, hidden, rng=0), BatchNorm.init(hidden), activation(),
                      Dropout(0.3, rng=rng), Affine.init(hidden, 3, rng=1), loss=SoftmaxWithLoss())


def shared(path, *callbacks, start=False, optimizer=None, every=3, metrics=(accuracy,), **options):
    """A training whose Dropout and fit draw from one generator."""
    rng = np.random.default_rng(5)
    trainer = Trainer(net(rng), optimizer or Adam(cosine_decay(0.05, 28)), metrics)
    if start:
        trainer.resume(path)
    options = {"epochs": 4, "batch_size": 8, "validation_data": (X, T), "rng": rng} | options
    callbacks = [*callbacks, Checkpoint(path, every=every)]
    trainer.fit(X, T, **options, progress=False, callbacks=callbacks)
    return trainer


def everything(trainer):
    buffers = [a for layer in trainer.model.layers for a in layer.buffers.values()]
    return {"history": (trainer.history.steps, trainer.history.epochs),
            "weights": [p.tolist() for p in trainer.model.params],
            "buffers": [a.tolist() if isinstance(a, np.ndarray) else a.bit_generator.state
                        for a in buffers]}


@pytest.mark.parametrize("every", ["epoch", 1, 5])
@pytest.mark.parametrize("steps", [8, 13, 14, 15, 26])
def test_broken_off_and_resumed_is_uninterrupted(tmp_path, every, steps):
    whole = shared(tmp_path / "whole", every=every)
    with pytest.raises(Killed):
        shared(tmp_path / "c", after(steps), every=every)
    assert everything(shared(tmp_path / "c", start=True, every=every)) == everything(whole)


@pytest.mark.parametrize("optimizer", [lambda: Momentum(0.1), lambda: SGD(0.1)])
@pytest.mark.parametrize("options", [
    {"accumulate": 3}, {"max_grad_norm": 0.5}, {"rng": 7}, {"drop_last": True},
    {"metrics": {"mine": lambda y, t: r2(y[:, 0], t)}},
])
def test_whatever_the_fit_is(tmp_path, options, optimizer):
    whole = shared(tmp_path / "w", optimizer=optimizer(), every=1, **options)
    with pytest.raises(Killed):
        shared(tmp_path / "c", after(3), optimizer=optimizer(), every=1, **options)
    again = shared(tmp_path / "c", optimizer=optimizer(), start=True, every=1, **options)
    assert everything(again) == everything(whole)


def paths(model):
    return [path for path, layer in held(model) if getattr(layer, "frozen", False)]


@pytest.mark.parametrize("steps", [5, 17])
@pytest.mark.parametrize("before, freeze, also, thaw, after_it", [
    ("0", "", "", "", "0"), ("", "01", "", "", ""), ("4", "0", "", "", "4"),
    ("01", "", "", "1", "0"), ("", "01", "", "1", ""), ("3", "0", "4", "0", "3")])
def test_what_is_frozen(tmp_path, before, freeze, also, thaw, after_it, steps):
    def callback(trainer):
        if trainer.run.epoch == 2:
            trainer.model.freeze(*also)
            for layer in thaw:
                trainer.model.unfreeze(layer)

    def train(path, *callbacks, start=False):
        trainer = Trainer(net(2), Adam())
        if start:
            trainer.resume(path)
        else:
            trainer.model.freeze(*before)
        trainer.fit(X, T, epochs=4, batch_size=8, rng=0, progress=False, freeze=list(freeze),
                    callbacks=[callback, *callbacks, Checkpoint(path, every=4)])
        return trainer
    whole = train(tmp_path / "w")
    with pytest.raises(Killed):
        train(tmp_path / "c", after(steps))
    again = train(tmp_path / "c", start=True)
    assert everything(again) == everything(whole)
    assert paths(again.model) == paths(whole.model) == list(after_it)


def resumed(path, *frozen, **options):
    """A training that goes on from the file, of a model with other layers frozen."""
    rng = np.random.default_rng(5)
    trainer = Trainer(net(rng), Adam(cosine_decay(0.05, 28)))
    trainer.model.freeze(*frozen)
    trainer.resume(path)
    before = [p.copy() for p in trainer.model.params]
    trainer.fit(X, T, epochs=4, batch_size=8, rng=rng, progress=False,
                callbacks=[Checkpoint(path, every=3)], **options)
    still = list(map(np.array_equal, trainer.model.params, before))
    return [i for i, same in enumerate(still) if same], paths(trainer.model)


def test_freeze_given_anew_counts(tmp_path):
    with pytest.raises(Killed):
        shared(tmp_path / "c", after(9), freeze=("0",))
    assert resumed(tmp_path / "c", freeze=("4",)) == ([4, 5], [])


def test_a_file_that_does_not_say_what_is_frozen_leaves_it(tmp_path):
    with pytest.raises(Killed):
        shared(tmp_path / "c", after(9))
    arrays, text = read_arrays("test", tmp_path / "c", "Checkpoint")
    assert text["training"].pop("frozen") == [[], []]
    assert text["training"]["model"].pop("frozen") == []
    write_arrays(tmp_path / "d", arrays, text)
    assert resumed(tmp_path / "d", "0") == ([0, 1], ["0"])
    assert resumed(tmp_path / "c", "0") == ([], [])


def test_a_generator_without_a_seed_goes_on_too(tmp_path):
    """It is the file that knows it."""
    with pytest.raises(Killed):
        shared(tmp_path / "c", after(9), rng=None)
    (tmp_path / "d").write_bytes((tmp_path / "c").read_bytes())
    one, other = (shared(tmp_path / name, start=True, rng=None) for name in "cd")
    assert everything(one) == everything(other)


def test_a_shared_generator_is_saved_once(tmp_path):
    shared(tmp_path / "c")
    assert list(tree(tmp_path / "c")["generators"]) == ["batches.rng"]
    shared(tmp_path / "c", rng=1)
    assert len(tree(tmp_path / "c")["generators"]) == 2


OF_MODULE = np.random.default_rng(0)


class Noise(Layer):
    """It draws from a generator of the module, or of the class."""
    own = np.random.default_rng(1)

    def forward(self, x):
        return x + OF_MODULE.normal(0, 0.1, x.shape) + self.own.normal(0, 0.1, x.shape)

    def backward(self, dout):
        return dout


@dataclasses.dataclass(slots=True)
class Jitter:
    rng: np.random.Generator

    def __call__(self, x, rng):
        return x + self.rng.normal(0, 0.1, x.shape)


def test_generators_that_classes_and_slots_hold(tmp_path):
    def train(*callbacks, start=False):
        for seed, rng in enumerate((OF_MODULE, Noise.own)):
            rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
        model = Sequential(Affine.init(4, 3, rng=0), Noise(), loss=SoftmaxWithLoss())
        trainer = Trainer(model, SGD(0.1))
        if start:
            trainer.resume(tmp_path / "c")
        trainer.fit(X, T, epochs=3, rng=0, progress=False, augment=Jitter(np.random.default_rng(2)),
                    callbacks=[*callbacks, Checkpoint(tmp_path / "c", every=1)])
        return everything(trainer)
    whole = train()
    with pytest.raises(Killed):
        train(after(4))
    assert train(start=True) == whole


def test_batches_that_a_function_draws(tmp_path):
    def train(path, *callbacks, start=False):
        rng = np.random.default_rng(1)

        def shifted():
            for x, t in batches(X.reshape(50, 1, 2, 2), T, batch_size=8, rng=rng):
                yield random_shifts(x, rng, most=1).reshape(-1, 4), t
        trainer = Trainer(net(2), Adam())
        if start:
            trainer.resume(path)
        trainer.fit(batches=shifted, epochs=3, progress=False,
                    callbacks=[*callbacks, Checkpoint(path, every=2)])
        return trainer
    with pytest.raises(Killed):
        train(tmp_path / "c", after(11))
    assert everything(train(tmp_path / "c", start=True)) == everything(train(tmp_path / "w"))


def test_recurrent_states_go_on_in_the_middle_of_a_text(tmp_path):
    ids = np.random.default_rng(0).integers(0, 10, 401)

    def train(path, *callbacks, start=False):
        trainer = Trainer(LanguageModel(10, 8, 8, rng=0), Adam(0.01), metrics=())
        if start:
            trainer.resume(path)
        trainer.fit(batches=lambda: text_batches(ids, 4, 10), epochs=3, progress=False,
                    callbacks=[*callbacks, Checkpoint(path, every=1)])
        return trainer
    with pytest.raises(Killed):
        train(tmp_path / "c", after(15))
    assert everything(train(tmp_path / "c", start=True)) == everything(train(tmp_path / "w"))


class BookMomentum:
    """An optimizer as the book has it."""
    def __init__(self):
        self.lr, self.v = 0.1, None

    def update(self, params, grads):
        if self.v is None:
            self.v = {str(i): np.zeros_like(p) for i, p in enumerate(params)}
        for i, (p, g) in enumerate(zip(params, grads)):
            self.v[str(i)] = 0.9 * self.v[str(i)] - self.lr * g
            p += self.v[str(i)]


def test_an_optimizer_of_ones_own(tmp_path):
    whole = shared(tmp_path / "w", optimizer=BookMomentum())
    with pytest.raises(Killed):
        shared(tmp_path / "c", after(10), optimizer=BookMomentum())
    again = shared(tmp_path / "c", start=True, optimizer=BookMomentum())
    assert everything(again) == everything(whole)


def test_callbacks_go_on_as_well(tmp_path):
    def train(path, *callbacks, start=False):
        calls = [*callbacks, Checkpoint(path), EarlyStopping("val_loss", patience=4),
                 ReduceOnPlateau("loss", 0.5, patience=1)]
        rng = np.random.default_rng(5)
        trainer = Trainer(net(rng), SGD(3.0))
        if start:
            trainer.resume(path)
        trainer.fit(X, T, epochs=30, batch_size=8, validation_data=(X, T), rng=rng,
                    callbacks=calls, progress=False)
        return trainer, calls[-2].best_epoch, len(trainer.history)
    whole, *ends = train(tmp_path / "w")
    assert ends[1] < 30 and whole.optimizer.lr < 1
    for steps in (20, 7 * ends[0], 7 * ends[1] - 7, 7 * ends[1]):
        with pytest.raises(Killed):
            train(tmp_path / "c", after(steps))
        again, *its = train(tmp_path / "c", start=True)
        assert everything(again) == everything(whole) and its == ends
        assert again.optimizer.lr == whole.optimizer.lr
    again, *its = train(tmp_path / "c", start=True)         # it has ended
    assert everything(again) == everything(whole) and its == ends


def test_a_function_that_ends_a_fit_does_not_end_the_next(tmp_path):
    shared(tmp_path / "c", lambda trainer: True, every="epoch")
    assert everything(shared(tmp_path / "c", start=True)) == everything(shared(tmp_path / "w"))


def test_a_second_fit_is_resumed_too(tmp_path):
    def train(path, *callbacks, start=False):
        trainer = Trainer(net(0), Adam())
        if start:
            trainer.resume(path)
        else:
            trainer.fit(X, T, epochs=2, rng=0, progress=False)
        trainer.fit(X, T, epochs=3, rng=1, progress=False,
                    callbacks=[*callbacks, Checkpoint(path, every=1)])
        return trainer
    with pytest.raises(Killed):
        train(tmp_path / "c", after(3))
    whole = train(tmp_path / "w")
    assert everything(train(tmp_path / "c", start=True)) == everything(whole)
    assert whole.history["epoch"] == [3, 4, 5]
    assert repr(whole.history).startswith("History(3 epochs after 2 of an earlier fit: loss ")


def test_nothing_is_left_to_do(tmp_path):
    whole = shared(tmp_path / "c", every="epoch")
    assert everything(shared(tmp_path / "c", start=True)) == everything(whole)


def test_keep_and_best(tmp_path):
    losses = iter([3.0, 1.0, 2.0, float("nan"), 0.5, 0.7])
    model = net(0)
    trainer = Trainer(model, SGD(0.1), metrics={"mine": lambda y, t: next(losses)})
    biases = []
    callbacks = [lambda trainer: biases.append(model.params[-1].copy()),
                 Checkpoint(tmp_path / "b.safetensors", best="mine", maximize=False, keep=2)]
    trainer.fit(X, T, epochs=6, callbacks=callbacks, progress=False)
    assert sorted(os.listdir(tmp_path)) == ["b.1.safetensors", "b.safetensors"]
    for name, epoch in (("b.safetensors", 5), ("b.1.safetensors", 2)):
        assert Trainer(model, SGD(0.1)).resume(tmp_path / name).history["epoch"][-1] == epoch
        np.testing.assert_array_equal(model.params[-1], biases[epoch - 1])


# Files that are refused

def tree(path):
    from safetensors import safe_open
    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["chainrule"])["training"]


@pytest.fixture
def saved(tmp_path):
    shared(tmp_path / "c.safetensors", epochs=1)
    return tmp_path / "c.safetensors"


@pytest.mark.parametrize("model, message", [
    (lambda: net(0, hidden=9),
     "Trainer.resume: … c.safetensors … Sequential: 0.W … float32 (4, 9) … float32 (4, 8)…"),
    (lambda: net(0).astype(np.float64),
     "Trainer.resume: … c.safetensors … Sequential: 0.W … float64 (4, 8) … float32 (4, 8)…"),
    (lambda: net(0, activation=Tanh), "Trainer.resume: … c.safetensors … Sequential: 2 … Tanh … ReLU…"),
    (lambda: Sequential(Affine.init(4, 8, rng=0), loss=SoftmaxWithLoss()),
     "Trainer.resume: … c.safetensors … Sequential: 1 … BatchNorm…"),
])
def test_another_model_is_refused(saved, model, message):
    model = model()
    before = [p.copy() for p in model.params]
    with refused(ValueError, message):
        Trainer(model, Adam()).resume(saved)
    assert all(map(np.array_equal, before, model.params))


def test_another_optimizer_and_another_fit_are_refused(saved):
    trainer = Trainer(net(np.random.default_rng(5)), Momentum())
    before = trainer.model.params[0].copy()
    with refused(ValueError, "Trainer.resume: … c.safetensors … optimizer … Momentum … Adam…"):
        trainer.resume(saved)
    assert np.array_equal(trainer.model.params[0], before) and len(trainer.history) == 0
    trainer = Trainer(net(0), Adam()).resume(saved)
    message = "Trainer.resume: … c.safetensors … model.layers.3.buffers.rng … PCG64 … missing…"
    with refused(ValueError, message):
        trainer.fit(X, T, progress=False)
    with refused(ValueError, "Trainer.resume: … c.safetensors … batches per epoch … 2 … 7…"):
        trainer.fit(X, T, batch_size=25, rng=trainer.model.layers[3].buffers["rng"], progress=False)


def test_truncated_and_foreign_files_are_refused(saved, tmp_path):
    whole, trainer = saved.read_bytes(), Trainer(net(0), Adam())
    with refused(ValueError, "Sequential.load: … Checkpoint … trainer.resume…"):
        trainer.model.load(saved)
    for n in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:n])
        with refused(ValueError, "Trainer.resume: … c.safetensors … Checkpoint…"):
            trainer.resume(saved)
    saved.write_bytes(pickle.dumps(os.getcwd))
    with refused(ValueError, "Trainer.resume: … c.safetensors … Checkpoint…"):
        trainer.resume(saved)
    trainer.model.save(saved)
    with refused(ValueError, "Trainer.resume: … c.safetensors … Checkpoint … save … model.load…"):
        trainer.resume(saved)
    save_file({"a": np.ones(3)}, saved)
    with refused(ValueError, "Trainer.resume: … c.safetensors … Checkpoint…"):
        trainer.resume(saved)
    with refused(FileNotFoundError, f"Trainer.resume: … {tmp_path / 'no'}"):
        trainer.resume(tmp_path / "no")


@pytest.mark.parametrize("part", ["model", "optimizer", "history", "generators", "callbacks",
                                  "step"])
@pytest.mark.parametrize("value", [None, {}, [], "x", {"": "nothing"}, {"": ["x"]}, 10 ** 30])
def test_a_damaged_tree_is_refused_with_nothing_changed(saved, part, value):
    if part == "generators" and value == {} or part == "callbacks" and value == []:
        return                                                  # of such a training, fit says
    changed = tree(saved) | {part: value}
    save_file(load_file(saved), saved, metadata={"chainrule": json.dumps({"training": changed})})
    trainer = Trainer(net(0), Adam())
    before = [p.copy() for p in trainer.model.params]
    with refused(ValueError, "Trainer.resume: … c.safetensors…"):
        trainer.resume(saved)
    assert all(map(np.array_equal, before, trainer.model.params)) and trainer.optimizer.step == 0


@pytest.mark.parametrize("state", [{}, {"bit_generator": "PCG64"},
                                   {"bit_generator": "PCG64", "state": {"state": -1, "inc": "x"}}])
def test_a_damaged_state_of_a_generator_is_refused(saved, state):
    changed = tree(saved)
    changed["generators"]["batches.rng"] = state
    save_file(load_file(saved), saved, metadata={"chainrule": json.dumps({"training": changed})})
    rng = np.random.default_rng(0)
    trainer = Trainer(net(rng), Adam()).resume(saved)
    with refused(ValueError, "Trainer.resume: … c.safetensors … batches.rng … PCG64…"):
        trainer.fit(X, T, rng=rng, batch_size=8, progress=False)


@pytest.mark.parametrize("kept, message", [
    ([], "callback 0 … EarlyStopping … missing…"),
    ([{"class": "EarlyStopping", "state": {}}], "EarlyStopping … KeyError…"),
    ([{"class": "EarlyStopping", "state": None}], "EarlyStopping … TypeError…"),
])
def test_other_callbacks_are_refused(saved, kept, message):
    save_file(load_file(saved), saved,
              metadata={"chainrule": json.dumps({"training": tree(saved) | {"callbacks": kept}})})
    trainer = Trainer(net(rng := np.random.default_rng(0)), Adam()).resume(saved)
    with refused(ValueError, f"Trainer.resume: … c.safetensors … {message}"):
        trainer.fit(X, T, rng=rng, batch_size=8, callbacks=[EarlyStopping()], progress=False)


@pytest.mark.parametrize("options, message", [
    ({"every": 0}, "Checkpoint: every … 1 … 0"),
    ({"every": "step"}, "Checkpoint: every … 'epoch' … 'step'"),
    ({"keep": 0}, "Checkpoint: keep … 1 … 0"),
    ({"best": "val_loss", "every": 3}, "Checkpoint: best='val_loss'…"),
    ({"best": "mine"}, "Checkpoint: … 'mine' … maximize=True or maximize=False"),
])
def test_arguments(options, message):
    with refused(ValueError, message):
        Checkpoint("c", **options)


def test_a_folder_that_is_missing(tmp_path):
    with refused(FileNotFoundError, f"[Errno 2] Checkpoint: … '{tmp_path / 'no' / 'c'}'"):
        shared(tmp_path / "no" / "c")


def test_a_trainer_is_copied_in_the_middle_of_a_fit():
    copies, trainer = [], Trainer(net(0), SGD())

    def keep(trainer):
        copies.append(pickle.loads(pickle.dumps(trainer)))
    trainer.fit(X, T, epochs=1, callbacks=[keep], progress=False)
    copies.append(copy.deepcopy(trainer))
    assert [len(c.history) for c in copies] == [1, 1] and isinstance(copies[0].history, History)


# Killed for real

SCRIPT = """
import sys, os
import numpy as np
sys.path.insert(0, sys.argv[2])
from test_checkpoint import shared, everything
print("ready", flush=True)
trainer = shared(sys.argv[1], start=os.path.exists(sys.argv[1]), every=1, epochs=60)
print(everything(trainer))
"""


def killed_and_resumed(tmp_path, kills, seed):
    random.seed(seed)
    path = tmp_path / "run.safetensors"
    command = [sys.executable, "-c", SCRIPT, str(path), os.path.dirname(__file__)]
    made = 0
    while made < kills:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        time.sleep(random.uniform(0.01, 0.15))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            made += 1
        else:
            path.unlink()                        # it has ended: once more from the start
        process.communicate()
        assert set(os.listdir(tmp_path)) <= {path.name, f"{path.name}.{process.pid}.part"}
        if path.exists():
            Trainer(net(0), Adam()).resume(path)
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(os.listdir(tmp_path)) == [path.name]
    whole = shared(tmp_path / "whole", every=10 ** 9, epochs=60)
    assert output.splitlines()[-1] == str(everything(whole))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_at_random_instants(tmp_path):
    killed_and_resumed(tmp_path, 3, 0)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_at_twenty_random_instants(tmp_path):
    killed_and_resumed(tmp_path, 20, 1)


def test_another_floor_says_that_bits_may_differ(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    monkeypatch.setattr(compiled, "running", lambda: "compiled")
    trainer = Trainer(net(0), SGD(0.1))
    trainer.fit(X, T, epochs=1, rng=0, progress=False, callbacks=[Checkpoint(path)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Trainer(net(0), SGD(0.1)).resume(path)
    monkeypatch.setattr(compiled, "running", lambda: "numpy")
    with pytest.warns(UserWarning, match="compiled floor, and here they run on the numpy floor"):
        resumed = Trainer(net(0), SGD(0.1)).resume(path)
    assert len(resumed.history) == 1
