"""LanguageModel: state from batch to batch, tying, dropout, perplexity, and the text that it writes."""
import copy
from functools import partial

import numpy as np
import pytest

from chainrule.common import log_softmax
from chainrule.common.layer import reset_states
from chainrule.datasets import Vocabulary, text_batches
from chainrule.layers import GRU, LSTM, RNN, Affine, Dropout, LSTMCell
from chainrule.models import LanguageModel, Sequential
from chainrule.optimizers import Adam
from chainrule.training import Trainer
from tests.errors import refused
from tests.models.gradients import assert_gradients, scale_up

V = 7
IDS = np.random.default_rng(1).integers(0, V, 60)
X, T = next(text_batches(IDS, batch_size=3, steps=5))


def network(hidden=4, **options):
    return scale_up(LanguageModel(V, dimension=4, hidden=hidden, **{"rng": 0, "dtype": np.float64} | options))


def recurrent(model):
    return [layer for layer in model.layers if hasattr(layer, "stateful")]


def snapshot(model):
    """All that a prediction might touch."""
    return [copy.deepcopy((layer.state, layer.stateful, layer.training, layer.cache is None))
            for layer in recurrent(model)]


def generators(model):
    """Functions that take each Dropout's generator back to where it is now."""
    found = [layer.buffers["rng"].bit_generator for layer in model.layers if isinstance(layer, Dropout)]
    return [partial(setattr, generator, "state", generator.state) for generator in found]


def names(model):
    return " ".join(type(layer).__name__ for layer in model.layers)


def assert_same(a, b):
    np.testing.assert_equal(a, b)


# What it computes

@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
@pytest.mark.parametrize("options", [{}, {"depth": 2, "hidden": 3}, {"tied": True},
                                     {"dropout": 0.5, "tied": True, "depth": 2}], ids=str)
def test_gradients(cell, options):
    model = network(cell=cell, **options)
    model.forward(X, T)                                          # a state to start from
    states, drops = [layer.state for layer in recurrent(model)], generators(model)

    def before():
        for layer, state in zip(recurrent(model), states):
            layer.state = state
        for back in drops:
            back()
    assert_gradients(model, X, T, before=before)


def test_layers_stand_as_asked_for():
    model = network(depth=2, dropout=0.3, hidden=5, cell=GRU)
    assert names(model) == "Embedding Dropout GRU Dropout GRU Dropout Affine"
    weights = [p.shape for p in model.params if p.ndim == 2]
    assert weights == [(V, 4), (4, 15), (5, 15), (5, 15), (5, 15), (5, V)]
    assert names(network()) == "Embedding LSTM Affine"
    assert LanguageModel(V, 4, 4).params[0].dtype == np.float32


def test_one_seed_gives_one_model():
    a, b, c = (LanguageModel(V, 4, 4, rng=seed) for seed in (0, 0, 1))
    assert_same(a.params, b.params)
    assert (a.params[0] != c.params[0]).any()


def test_tied_weights_are_one_array_with_one_gradient():
    model = network(tied=True)
    embedding, output = model.layers[0], model.layers[-1]
    assert np.shares_memory(output.params[0], embedding.params[0]) and len(model.params) == 5
    assert [p.shape for p in model.params].count((V, 4)) == 1
    model.forward(X, T)
    model.backward()
    np.testing.assert_allclose(model.grads[0], embedding.grads[0] + output.grads[0].T)
    with refused(ValueError, "LanguageModel: hidden … dimension=4 … 5"):
        network(hidden=5, tied=True)


# State

def test_the_state_goes_on_from_batch_to_batch():
    model, ids = network(), IDS[None, :40]
    whole = model.forward(ids)
    reset_states(model)
    parts = [model.forward(ids[:, i:i + 8]) for i in range(0, 40, 8)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole)
    assert np.abs(model.forward(ids) - whole).max() > 1e-3             # and on into the next
    rows = network(stateful=False)
    np.testing.assert_array_equal(rows.forward(ids), rows.forward(ids))


@pytest.mark.parametrize("stateful", [True, False])
def test_reading_aside_leaves_no_trace(stateful):
    model = network(depth=2, dropout=0.5, stateful=stateful)
    model.forward(X, T)
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    trace, params = snapshot(model), copy.deepcopy(model.params)
    model.predict(IDS[None])
    model.generate([1, 2], 3, rng=0)
    model.perplexity(IDS)
    assert_same(snapshot(model), trace)
    assert_same(model.params, params)
    with refused(ValueError, "LanguageModel: start … 0..6 … 7 at index (1,)"):
        model.generate([1, V], 3, rng=0)
    assert_same(snapshot(model)[0][:3], trace[0][:3])


@pytest.mark.parametrize("read", [lambda model: model.generate([1], 2), lambda model: model.perplexity(IDS)])
def test_backward_does_not_follow_reading_aside(read):
    model = network()
    model.forward(X, T)
    read(model)
    with refused(RuntimeError, "LanguageModel: backward … forward…"):
        model.backward()
    assert model.output is None and all(layer.cache is None for layer in model.layers)


def test_a_batch_of_another_size_is_refused_while_stateful():
    model = network()
    model.forward(X, T)
    with refused(ValueError, "LSTM: x … 3 … 2…"):
        model.forward(X[:2], T[:2])
    reset_states(model)
    model.forward(X[:2], T[:2])
    network(stateful=False).forward(X[:2], T[:2])


# Perplexity

@pytest.mark.parametrize("stateful", [True, False])
@pytest.mark.parametrize("steps", [None, 1, 7, 59, 1000])
def test_perplexity_is_that_of_the_whole_text_however_it_is_cut(stateful, steps):
    model = network(depth=2, dropout=0.5, stateful=stateful)
    log_p = log_softmax(model.predict(IDS[None, :-1])[0])[np.arange(59), IDS[1:]]
    np.testing.assert_allclose(model.log_probabilities(IDS, steps), log_p)
    assert model.perplexity(IDS, steps) == pytest.approx(np.exp(-log_p.mean()))


def test_a_model_that_knows_nothing_has_perplexity_v():
    model = network()
    for p in model.params:
        p[...] = 0
    assert model.perplexity(IDS) == pytest.approx(V)


# Writing

def test_greedy_writing_takes_the_likeliest_given_all_before():
    model, ids = network(depth=2), [3, 1]
    for _ in range(6):
        ids.append(int(model.predict(np.array([ids]))[0, -1].argmax()))
    assert model.generate([3, 1], 6, temperature=0).tolist() == ids[2:]
    assert model.generate([3, 1], 6, temperature=1e-9, rng=3).tolist() == ids[2:]
    assert network(depth=2, stateful=False).generate([3, 1], 6, temperature=0).tolist() == ids[2:]


def test_writing_reads_each_token_once():
    model, read = network(), []
    look_up = model.layers[0].forward
    model.layers[0].forward = lambda ids: (read.append(ids[0].tolist()), look_up(ids))[1]
    text = model.generate([3, 1], 4, rng=0).tolist()
    assert read == [[3, 1], *([i] for i in text[:-1])]


def test_writing_follows_the_seed():
    model = network()
    text = model.generate([0], 30, rng=0)
    assert text.shape == (30,) and text.dtype == np.int64
    assert_same(model.generate([0], 30, rng=0), text)
    assert_same(model.generate(0, 30, rng=np.random.default_rng(0)), text)
    assert (model.generate([0], 30, rng=1) != text).any()
    assert model.generate([0], 0).shape == (0,)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_by_their_probabilities(temperature):
    model, rng = network(), np.random.default_rng(0)
    drawn = [model.generate([2], 1, temperature, rng)[0] for _ in range(1500)]
    p = np.exp(log_softmax(model.predict(np.array([[2]]))[0] / temperature))[0]
    assert np.abs(np.bincount(drawn, minlength=V) / 1500 - p).max() < 0.04


# Learning

@pytest.mark.parametrize("options", [{"cell": RNN}, {"cell": LSTM, "tied": True},
                                     {"cell": GRU, "depth": 2, "dropout": 0.1}], ids=str)
def test_it_learns_a_text_by_heart(options):
    text = "the quick brown fox jumps over the lazy dog. "
    vocabulary = Vocabulary.from_text(text, level="char")
    ids = vocabulary.encode(text * 20)
    model = LanguageModel(len(vocabulary), dimension=24, hidden=24, rng=0, **options)
    trainer = Trainer(model, Adam(lr=0.02), metrics=())
    trainer.fit(batches=lambda: text_batches(ids, batch_size=4, steps=20), epochs=20, max_grad_norm=1.0,
                progress=False)
    assert vocabulary.decode(model.generate(ids[:10], len(text) - 10, temperature=0)) == text[10:]
    assert model.perplexity(ids) < 1.3


def test_save_and_load(tmp_path):
    a, b = network(tied=True, dropout=0.5), network(tied=True, dropout=0.5, rng=9)
    b.params[0][...] = 0
    a.save(tmp_path / "model")
    b.load(tmp_path / "model")
    assert_same(a.forward(X, T), b.forward(X, T))
    assert isinstance(a, Sequential)


# What it refuses

def test_bad_ids():
    model = network()
    with refused(ValueError, "LanguageModel: ids … integers … 0..6 … 7…"):
        model.forward(np.array([[0, 7]]))
    with refused(TypeError, "LanguageModel: ids … integers … 0..6 … float64…"):
        model.forward(np.array([[0.0, 1.0]]))
    with refused(ValueError, "LanguageModel: ids … empty…"):
        model.forward(np.zeros((2, 0), int))
    with refused(TypeError, "LanguageModel: start … integers … 0..6…"):
        model.generate([0.5], 3)
    with refused(ValueError, "LanguageModel: start … empty…"):
        model.generate(np.zeros(0, int), 3)
    with refused(ValueError, "LanguageModel: start … (T,) … (1, 2)"):
        model.generate([[1, 2]], 3)
    with refused(ValueError, "LanguageModel.generate: temperature … at least 0 … -1"):
        model.generate([1], 3, temperature=-1)
    with refused(ValueError, "LanguageModel: ids … two … one"):
        model.perplexity([1])
    with refused(ValueError, "LanguageModel: start … empty … shape (0,)"):
        model.generate([], 5)
    with refused(ValueError, "LanguageModel: ids … empty … shape (0,)"):
        model.perplexity([])
    with refused(ValueError, "LanguageModel: ids … (N, T) … (4,)"):
        model.forward(np.zeros(4, int), np.zeros(4, int))


def test_bad_options():
    for name in "depth", "dimension", "hidden":
        with refused(ValueError, f"LanguageModel: {name} … at least 1 … 0"):
            LanguageModel(**{"vocabulary": 7, name: 0})
    with refused(TypeError, "LanguageModel: vocabulary … whole number … Vocabulary … len(vocabulary)…"):
        LanguageModel(Vocabulary.from_text("a b"))
    for cell, got in (("GRU", "'GRU'"), (LSTMCell, "LSTMCell"), (Affine, "Affine")):
        with refused(TypeError, f"LanguageModel: cell … class … LSTM … {got} … cell=LSTM…"):
            network(cell=cell)
    with refused(TypeError, "LanguageModel: cell … class … LSTM … LSTM(Wx…"):
        network(cell=LSTM.init(2, 3))
