"""Trainings that go wrong, and data as users bring it: what is said, what is kept, and how losses are weighed."""
import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.common import Layer, r2
from chainrule.datasets import text_batches
from chainrule.layers import Affine, BatchNorm, Dropout, NormLoss, ReLU, SigmoidWithLoss, SoftmaxWithLoss, SquaredError
from chainrule.models import Graph, Input, LanguageModel, Sequential
from chainrule.optimizers import SGD, Adam
from chainrule.training import Trainer
from tests.errors import refused

RNG = np.random.default_rng(0)
X = RNG.standard_normal((33, 4)).astype(np.float32)
T = np.arange(33) % 3


def net(*layers, loss=None):
    return Sequential(Affine.init(4, 3, rng=0), *layers, loss=loss or SoftmaxWithLoss())


class Sqrt(Layer):
    """A derivative that is infinite at 0, where the value is not."""
    def forward(self, x):
        self.cache = y = np.sqrt(x)
        return y

    def backward(self, dout):
        with np.errstate(all="ignore"):
            return dout / (2 * self.cache)


class TestGradientsThatAreNotFinite:
    def fit(self, **options):
        model = net(ReLU(), Sqrt(), loss=SquaredError())
        before = [p.copy() for p in model.params]
        trainer = Trainer(model, SGD(0.1), metrics=())
        with pytest.raises(FloatingPointError) as caught, np.errstate(invalid="ignore"):
            trainer.fit(X, np.ones((33, 3)), epochs=1, progress=False, **options)
        assert all(map(np.array_equal, before, model.params))
        return str(caught.value), trainer

    def test_layer_step_loss_and_advice(self):
        text, trainer = self.fit()
        for part in "step 1", "0.W", "layer 0 (Affine)", "max_grad_norm=1.0", "grads[0]":
            assert part in text
        assert "loss" not in trainer.history.steps

    def test_advice_fits_what_the_user_does(self):
        text, _ = self.fit(max_grad_norm=2.5)
        assert "max_grad_norm is 2.5" in text and "max_grad_norm=1.0" not in text


def test_a_loss_that_is_not_finite_leaves_the_running_statistics():
    model = Sequential(BatchNorm.init(4), Affine.init(4, 3, rng=0), loss=SoftmaxWithLoss())
    with refused(ValueError, "Trainer.fit: array 0 … batch 1 … epoch 1 … nan at index (0, 0)"), np.errstate(invalid="ignore"):
        Trainer(model, SGD()).fit(batches=lambda: [(np.full((5, 4), np.nan), np.zeros(5, int))], epochs=1, progress=False)
    assert np.isfinite(model.layers[0].running_mean).all()


class TestAmountsOfData:
    def test_drop_last(self):
        seen = []

        class Count(ReLU):
            def forward(self, x):
                seen.append(len(x))
                return super().forward(x)
        Trainer(net(Count()), SGD()).fit(X, T, epochs=2, batch_size=16, drop_last=True, progress=False)
        assert seen == [16] * 4

    def test_drop_last_helps_batch_norm(self):
        model = net(BatchNorm.init(3))
        with refused(ValueError, "BatchNorm: x … (1, 3) … drop_last=True…"):
            Trainer(model, SGD()).fit(X, T, epochs=1, progress=False)
        assert len(Trainer(model, SGD()).fit(X, T, epochs=2, drop_last=True, progress=False)) == 2

    def test_drop_last_leaves_something(self):
        with refused(ValueError, "Trainer.fit: drop_last … 33 … batch_size … 34"):
            Trainer(net(), SGD()).fit(X, T, batch_size=34, drop_last=True, progress=False)

    def test_batches_without_end(self):
        endless = itertools.cycle([(X, T)])
        history = Trainer(net(), SGD()).fit(batches=lambda: endless, steps_per_epoch=5, epochs=3, progress=False)
        assert len(history) == 3 and len(history.steps["loss"]) == 15

    def test_steps_per_epoch_goes_with_batches(self):
        with refused(ValueError, "Trainer.fit: steps_per_epoch … batches=; …"):
            Trainer(net(), SGD()).fit(X, T, steps_per_epoch=5, progress=False)

    @pytest.mark.parametrize("x, t", [(((0., 0.), (0., 1.), (1., 0.)), (0, 1, 1)), (((0., 0.), (0., 1.)), (0, 1)),
                                      ((0.0, 1.0), (0, 1))])
    def test_rows_in_a_tuple(self, x, t):
        with refused(TypeError, "Trainer.fit: x … a tuple of rows … x=np.array(x)"):
            Trainer(net(), SGD()).fit(x, t, epochs=1, progress=False)

    def test_several_inputs_in_a_list(self):
        a, b = Input(), Input()
        model = Graph([a, b], Affine.init(4, 3)(a) + Affine.init(4, 3)(b), loss=SoftmaxWithLoss())
        with refused(TypeError, "Trainer.fit: x … a list of 2 arrays … x=tuple(x)"):
            Trainer(model, SGD()).fit([X, X], T, epochs=1, progress=False)
        assert len(Trainer(model, SGD()).fit((X, X), T, epochs=1, progress=False)) == 1


LOSSES = {"softmax": (SoftmaxWithLoss(), T), "ignored": (SoftmaxWithLoss(ignore_label=2), T),
          "squared": (SquaredError(), X[:, :3]),
          "sigmoid": (SigmoidWithLoss(), (X[:, :3] > 0).astype(np.float32)), "norm": (NormLoss(2), X[:, :3])}


class TestWeighing:
    @pytest.mark.parametrize("loss, t", LOSSES.values(), ids=LOSSES)
    def test_an_epochs_loss_is_the_loss_of_all_its_rows(self, loss, t):
        model = net(loss=loss)
        whole = model.forward(X, t)
        cuts = [0, 1, 4, 20, 33]
        batches = [(X[i:j], t[i:j]) for i, j in itertools.pairwise(cuts)]
        history = Trainer(model, SGD(1e-30), metrics=()).fit(batches=lambda: batches, epochs=1, progress=False)
        assert history["loss"][0] == pytest.approx(whole, rel=1e-5)

    @pytest.mark.parametrize("loss, t", LOSSES.values(), ids=LOSSES)
    def test_accumulated_batches_make_the_step_of_one(self, loss, t):
        one, several = (Sequential(Affine.init(4, 3, rng=0, dtype=np.float64), loss=loss) for _ in range(2))
        one.forward(X, t)
        one.backward()
        SGD(0.5).update(one.params, one.grads)
        batches = [(X[i:j], t[i:j]) for i, j in itertools.pairwise([0, 1, 4, 20, 33])]
        Trainer(several, SGD(0.5), metrics=()).fit(batches=lambda: batches, accumulate=4, epochs=1, progress=False)
        for a, b in zip(one.params, several.params):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)

    def test_weights_below_one(self):
        """A batch may weigh less than one sample: its gradient counts by what its loss says is the count."""
        class Weighed:
            params, grads = [np.array([1.0, 1.0])], [np.zeros(2)]

            def forward(self, x, t):
                self.loss, self.x = SimpleNamespace(count=t.item()), x
                return float(x[0] @ self.params[0])

            def backward(self):
                self.grads[0][...] = self.x[0]
        batches = [(np.array([[8.0, 0.0]]), np.array([0.25])), (np.array([[0.0, 4.0]]), np.array([0.125]))]
        trainer = Trainer(Weighed(), SGD(0.375))
        history = trainer.fit(batches=lambda: batches, accumulate=2, epochs=1, progress=False)
        assert history["loss"] == history.steps["loss"] == [pytest.approx((0.25 * 8 + 0.125 * 4) / 0.375)]
        np.testing.assert_allclose(trainer.model.params[0], [1 - 0.25 * 8, 1 - 0.125 * 4])

    def test_sequences_of_any_length(self):
        ids = [RNG.integers(0, 9, (3, n)) for n in (2, 9, 5)]
        model = LanguageModel(9, 4, 4, stateful=False, rng=0)
        sums = sum(model.forward(i, i) * i.size for i in ids)
        history = Trainer(model, SGD(1e-30), metrics=()).fit(batches=lambda: [(i, i) for i in ids], epochs=1, progress=False)
        assert history["loss"][0] == pytest.approx(sums / sum(i.size for i in ids), rel=1e-5)


def test_batches_that_share_a_buffer_are_measured_each():
    model = Sequential(Affine.init(4, 1, rng=0), loss=SquaredError())
    x, t = np.empty((11, 4), np.float32), np.empty((11, 1), np.float32)

    def shared():
        for i in range(3):
            x[...], t[...] = X[11 * i:11 * i + 11], X[11 * i:11 * i + 11, :1]
            yield x, t
    trainer = Trainer(model, SGD(1e-30), metrics=(r2,))
    whole = trainer.evaluate(X, X[:, :1])["r2"]
    assert trainer.fit(batches=shared, epochs=1, progress=False)["r2"][0] == pytest.approx(whole, rel=1e-5)


class TestStates:
    ids = np.random.default_rng(0).integers(0, 10, 401)

    def trainer(self):
        return Trainer(LanguageModel(10, 8, 8, rng=0), Adam(0.01), metrics=())

    def go_on(self, trainer):
        return trainer.fit(batches=lambda: text_batches(self.ids, 4, 10), epochs=1, progress=False)["loss"][0]

    def test_each_epoch_begins_anew(self):
        one, other = self.trainer(), self.trainer()
        self.go_on(one)
        self.go_on(other)
        other.model.layers[1].reset_state()
        assert self.go_on(one) == self.go_on(other)

    def test_a_saved_and_loaded_training_goes_on_bit_for_bit(self, tmp_path):
        trainer, again = self.trainer(), self.trainer()
        self.go_on(trainer)
        trainer.model.save(tmp_path / "m")
        np.savez(tmp_path / "o.npz", **trainer.optimizer.state)
        again.model.load(tmp_path / "m")
        again.optimizer.load_state(np.load(tmp_path / "o.npz"))
        assert self.go_on(trainer) == self.go_on(again)

    def test_a_file_holds_the_state_between_two_batches(self, tmp_path):
        (model, again), (x, t) = (self.trainer().model for _ in range(2)), next(iter(text_batches(self.ids, 4, 10)))
        model.forward(x, t)
        model.save(tmp_path / "m")
        again.load(tmp_path / "m")
        np.testing.assert_array_equal(model.forward(x), again.forward(x))
        fresh = self.trainer().model
        fresh.save(tmp_path / "fresh")
        again.load(tmp_path / "fresh")
        np.testing.assert_array_equal(fresh.forward(x), again.forward(x))


def test_a_rate_that_is_too_large_ends_in_words_on_the_command_line(tmp_path):
    command = [sys.executable, "-m", "chainrule", "train", "--lr", "1e9", "--epochs", "2", "--quiet"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    assert result.returncode and "learning rate" in result.stderr and "Traceback" not in result.stderr and not result.stdout


def test_an_error_inside_a_model_shows_the_users_lines_alone(tmp_path):
    script = tmp_path / "homework.py"
    script.write_text("import numpy as np\nfrom chainrule.layers import Affine, ReLU\nfrom chainrule.models import Sequential\n"
                      "model = Sequential(Sequential(ReLU(), Affine.init(4, 3)))\nmodel.forward(np.ones((2, 5)))\n")
    shown = subprocess.run([sys.executable, script], capture_output=True, text=True).stderr
    assert "homework.py" in shown and "Affine: x should have shape (N, ..., 4), got (2, 5)" in shown
    assert shown.count('  File "') <= 3 and "in layer 1 of Sequential: Affine" in shown


def test_an_error_in_a_users_layer_shows_its_line():
    class Broken(Layer):
        def forward(self, x):
            return x + self.nowhere
    with pytest.raises(AttributeError) as caught:
        net(Broken()).forward(X)
    assert "return x + self.nowhere" in str(caught.getrepr())


@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "cp437", "ascii", "utf-8"])
def test_reports_and_summaries_on_a_pipe_of_any_encoding(encoding):
    code = ("import numpy as np\nfrom chainrule.gradcheck import check_gradients\nfrom chainrule.layers import Affine\n"
            "from chainrule.models import Sequential\nfrom chainrule.common import Layer\n"
            "class Square(Layer):\n    def forward(self, x): self.cache = x; return x * x\n"
            "    def backward(self, dout): return dout * self.cache\n"
            "print(check_gradients(Square(), np.random.default_rng(0).normal(size=(5, 3)), rng=0))\n"
            "print(Sequential(Affine.init(4, 3), Square()).summary(np.zeros((2, 4))))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert result.returncode == 0, result.stderr.decode(errors="replace")
    assert b"numerical" in result.stdout and b"total" in result.stdout


def test_dropout_is_off_in_predict_after_a_failed_one():
    model = net(Dropout(0.5, rng=0))
    with refused(ValueError, "Affine: x … (N, ..., 4) … (2, 5)"):
        model.predict(np.ones((2, 5)))
    assert model.training and np.array_equal(model.predict(X), model.predict(X))


def test_a_metric_beside_a_loss_that_ignores_a_label_is_told_so():
    from functools import partial

    from chainrule.common import accuracy
    t = np.where(T == 2, -1, T)
    with refused(ValueError, "Trainer.fit: … accuracy … -1 … functools.partial(accuracy, ignore_label=-1)…"):
        Trainer(net(loss=SoftmaxWithLoss(ignore_label=-1)), SGD()).fit(X, t, epochs=1, progress=False)
    trainer = Trainer(net(loss=SoftmaxWithLoss(ignore_label=-1)), SGD(), metrics={"accuracy": partial(accuracy, ignore_label=-1)})
    assert 0 <= trainer.fit(X, t, epochs=1, progress=False)["accuracy"][0] <= 1


def test_an_underflow_that_numpy_was_told_to_raise_is_not_called_a_gradient():
    class Tiny(Affine):
        def backward(self, dout):
            self.grads[0][...] = self.grads[1][...] = 1e-170

    model = Sequential(Tiny.init(2, 2, rng=0, dtype=np.float64), loss=SoftmaxWithLoss())
    with np.errstate(all="raise"), pytest.raises(FloatingPointError) as error:
        Trainer(model, Adam(), metrics=()).fit(np.ones((2, 2)), np.array([0, 1]), epochs=1, progress=False)
    assert "underflow" in str(error.value) and "not finite" not in str(error.value)
