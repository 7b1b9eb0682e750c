"""Seq2Seq and AttentionSeq2Seq: gradients through both networks, masks, writing, where attention looks."""
import copy

import numpy as np
import pytest

from chainrule.common import log_softmax
from chainrule.datasets import batches, pair_batches
from chainrule.layers import GRU, LSTM, RNN
from chainrule.models import AttentionSeq2Seq, Seq2Seq
from chainrule.optimizers import Adam
from chainrule.training import Trainer, clip_gradients
from tests.errors import refused
from tests.models.gradients import assert_gradients, scale_up

V, START = 7, 6
rng = np.random.default_rng(1)
X, T = rng.integers(0, V, (3, 5)), rng.integers(0, V, (3, 5))
T[:, 0] = START
X_MASK, T_MASK = np.arange(5) < np.array([[5], [3], [1]]), np.arange(5) < np.array([[3], [5], [4]])

KINDS = {"plain": (Seq2Seq, {}), "reverse": (Seq2Seq, {"reverse": True}), "peeky": (Seq2Seq, {"peeky": True}),
         "attention": (AttentionSeq2Seq, {}), "attention, reverse": (AttentionSeq2Seq, {"reverse": True})}
kinds = pytest.mark.parametrize("kind", KINDS)


def network(kind="plain", **options):
    cls, own = KINDS[kind]
    return scale_up(cls(V, **{"dimension": 3, "hidden": 4, "rng": 0, "dtype": np.float64} | own | options))


# What they compute

@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
@pytest.mark.parametrize("masks", [(), (X_MASK, T_MASK)], ids=["whole", "masked"])
@kinds
def test_gradients(kind, cell, masks):
    assert_gradients(network(kind, cell=cell), X, T, *masks, entries=4)


@kinds
def test_the_loss_is_the_mean_over_the_tokens_behind_the_first(kind):
    model = network(kind)
    log_p = log_softmax(model.predict(X, T))
    assert log_p.shape == (3, 4, V)
    each = -np.take_along_axis(log_p, T[:, 1:, None], axis=2)[..., 0]
    loss = model.forward(X, T)
    assert type(loss) is float and loss == pytest.approx(each.mean())
    assert model.forward(X, T, None, T_MASK) == pytest.approx(each[T_MASK[:, 1:]].mean())


def test_the_decoder_starts_where_the_encoder_ends():
    model = network()
    source, encoder, target, decoder, output = model.layers
    encoder.forward(source.forward(X))
    decoder.initial_state = encoder.state
    scores = output.forward(decoder.forward(target.forward(T[:, :-1])))
    decoder.initial_state = None
    np.testing.assert_allclose(model.predict(X, T), scores)


def test_peeky_steps_see_the_encoders_last_state():
    model = network("peeky")
    source, encoder, target, decoder, output = model.layers
    h = np.repeat(encoder.forward(source.forward(X))[:, -1:], 4, axis=1)
    decoder.initial_state = encoder.state
    g = decoder.forward(np.concatenate([target.forward(T[:, :-1]), h], axis=2))
    decoder.initial_state = None
    np.testing.assert_allclose(model.predict(X, T), output.forward(np.concatenate([g, h], axis=2)))


def test_attention_is_a_mean_of_the_encoders_states():
    model = network("attention")
    source, encoder, target, decoder, _, output = model.layers
    hs = encoder.forward(source.forward(X))
    decoder.initial_state = encoder.state
    g = decoder.forward(target.forward(T[:, :-1]))
    decoder.initial_state = None
    a = np.exp(log_softmax(g @ hs.swapaxes(1, 2) / 2))                 # √H = 2
    np.testing.assert_allclose(model.attention(X, T), a)
    np.testing.assert_allclose(model.predict(X, T), output.forward(np.concatenate([g, a @ hs], axis=2)))


@pytest.mark.parametrize("cls", [Seq2Seq, AttentionSeq2Seq])
def test_reversed_means_the_question_read_from_its_end(cls):
    a, b = (scale_up(cls(V, 3, 4, reverse=flag, rng=0, dtype=np.float64)) for flag in (False, True))
    np.testing.assert_allclose(a.predict(X[:, ::-1], T), b.predict(X, T))
    assert np.abs(a.predict(X, T) - b.predict(X, T)).max() > 1e-3


# Laws

@kinds
def test_padding_changes_nothing(kind):
    model = network(kind)
    for n in range(3):
        length = int(X_MASK[n].sum())
        alone = model.predict(X[n:n + 1, :length], T[n:n + 1])
        np.testing.assert_allclose(model.predict(X, T, X_MASK)[n:n + 1], alone, rtol=1e-10)
        alone = model.generate(X[n:n + 1, :length], START, 6)
        np.testing.assert_array_equal(model.generate(X, START, 6, X_MASK, batch_size=2)[n], alone[0])
    if "attention" in kind:
        assert (model.attention(X, T, X_MASK)[:, 0] > 0).tolist() == X_MASK.tolist()


@kinds
def test_a_later_token_of_the_answer_never_changes_an_earlier_score(kind):
    model, other = network(kind), T.copy()
    other[:, 2] = (T[:, 2] + 1) % V
    y, z = model.predict(X, T), model.predict(X, other)
    np.testing.assert_array_equal(y[:, :2], z[:, :2])
    assert np.abs(y[:, 2] - z[:, 2]).max() > 1e-6


@kinds
def test_a_sample_does_not_depend_on_its_neighbours(kind):
    model = network(kind)
    np.testing.assert_allclose(model.predict(X, T)[1:2], model.predict(X[1:2], T[1:2]), rtol=1e-10)
    np.testing.assert_allclose(model.predict(X, T, batch_size=2), model.predict(X, T), rtol=1e-10)


@kinds
def test_writing_takes_the_likeliest_given_what_was_written(kind):
    model = network(kind)
    answers = np.full((3, 1), START)
    for _ in range(6):
        scores = model.predict(X, np.concatenate([answers, np.zeros((3, 1), int)], axis=1))
        answers = np.concatenate([answers, scores[:, -1:].argmax(axis=-1)], axis=1)
    np.testing.assert_array_equal(model.generate(X, START, 6), answers[:, 1:])
    np.testing.assert_array_equal(model.generate(X, START, 6, batch_size=2), answers[:, 1:])


@kinds
def test_no_call_leaves_a_trace(kind):
    model = network(kind)
    loss, params = model.forward(X, T), copy.deepcopy(model.params)

    def untouched():
        for layer in model.encoder, model.decoder:
            assert not layer.stateful and layer.initial_state is None
        assert model.training and all(layer.cache is None for layer in model.layers)
        with refused(RuntimeError, "… backward … forward…"):
            model.backward()

    model.predict(X, T)
    untouched()
    model.generate(X, START, 3)
    untouched()
    for wrong in (lambda: model.generate(X, V, 3), lambda: model.generate(X + 1, START, 3),
                  lambda: model.predict(X, T + 1)):
        with refused(ValueError, "… 0..6 … 7…"):
            wrong()
        untouched()
    assert model.forward(X, T) == loss and model.forward(X[:2], T[:2]) > 0
    np.testing.assert_equal(model.params, params)


@kinds
def test_save_and_load(kind, tmp_path):
    a, b = network(kind), network(kind)
    b.params[0][...] = 0
    a.save(tmp_path / "model")
    b.load(tmp_path / "model")
    assert a.forward(X, T) == b.forward(X, T)


# Learning

@pytest.mark.parametrize("kind", ["peeky", "attention"])
def test_it_learns_to_reverse_a_string(kind):
    cls, own = KINDS[kind]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, (400, 4))
    t = np.concatenate([np.full((400, 1), START), x[:, ::-1]], axis=1)
    model, optimizer = cls(V, dimension=16, hidden=32, rng=0, **own), Adam(lr=0.02)
    for _ in range(20):
        for x_batch, t_batch in batches(x[:360], t[:360], batch_size=40, rng=rng):
            model.forward(x_batch, t_batch)
            model.backward()
            clip_gradients(model.grads, 1.0)
            optimizer.update(model.params, model.grads)
    right = (model.generate(x[360:], START, 4) == t[360:, 1:]).all(axis=1)
    assert right.mean() > 0.8
    if kind == "attention":
        looks = model.attention(x, t).mean(axis=0).argmax(axis=1)
        assert looks[0] > looks[-1]                     # from the end of the question to its beginning


def test_the_trainer_takes_pairs_of_all_lengths():
    rng = np.random.default_rng(0)
    x = [rng.integers(0, 6, n).tolist() for n in rng.integers(1, 4, 60)]
    t = [[START, *s] for s in x]
    model = AttentionSeq2Seq(V, dimension=8, hidden=16, rng=0)
    trainer = Trainer(model, Adam(lr=0.02), metrics=())
    history = trainer.fit(batches=lambda: pair_batches(x, t, 10, rng=rng), epochs=15, progress=False)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


# What they refuse

def test_bad_input():
    model = network()
    with refused(ValueError, "Seq2Seq: x … integers … 0..6 … 7…"):
        model.forward(np.full((3, 5), 7), T)
    with refused(ValueError, "Seq2Seq: t … integers … 0..6 … -1…"):
        model.forward(X, T - 7)
    with refused(TypeError, "AttentionSeq2Seq: t … integers … 0..6 … float64…"):
        network("attention").forward(X, T.astype(float))
    with refused(TypeError, "Seq2Seq: x … integers … 0..6 … float64…"):
        model.generate(X.astype(float), START, 3)
    with refused(ValueError, "Seq2Seq: x … (N, T) … (5,)"):
        model.generate(X[0], START, 3)
    with refused(ValueError, "Seq2Seq: t … (3, Tt) … Tt … 1 … (2, 5)…"):
        model.forward(X, T[:2])
    with refused(ValueError, "Seq2Seq: t … (3, Tt) … Tt … 1 … (3, 1)…"):
        model.forward(X, T[:, :1])
    for kind in network(), network("attention"):
        with refused(TypeError, f"{type(kind).__name__}: predict … x and t … generate(x, start_id, length)"):
            kind.predict(X)
    with refused(ValueError, "Seq2Seq: x … empty…"):
        model.forward(np.zeros((3, 0), int), T)
    with refused(TypeError, "Seq2Seq: t_mask … booleans…"):
        model.forward(X, T, None, T_MASK.astype(int))
    with refused(TypeError, "LSTM: mask … booleans…"):
        model.forward(X, T, X_MASK.astype(int))
    for bad, error, message in (
            (7, ValueError, "0..6 … 7"), (-1, ValueError, "at least 0 … -1"),
            (1.5, TypeError, "whole number … 1.5"), ("_", TypeError, "whole number … '_'"),
            (None, TypeError, "whole number … None"), ([1, 2, 3], TypeError, "whole number … [1, 2, 3]")):
        with refused(error, f"Seq2Seq.generate: start_id … {message}"):
            model.generate(X, bad, 3)
    with refused(ValueError, "Seq2Seq.generate: batch_size … at least 1 … 0"):
        model.generate(X, START, 3, batch_size=0)
    with refused(ValueError, "Seq2Seq.generate: length … at least 1 … 0"):
        model.generate(X, START, 0)


@pytest.mark.parametrize("kind", [Seq2Seq, AttentionSeq2Seq])
def test_bad_options(kind):
    for name in "vocabulary", "dimension", "hidden":
        with refused(ValueError, f"{kind.__name__}: {name} … at least 1 … 0"):
            kind(**{"vocabulary": 7, name: 0})
    with refused(TypeError, f"{kind.__name__}: cell … class … LSTM … 'GRU' … cell=LSTM…"):
        kind(7, cell="GRU")
