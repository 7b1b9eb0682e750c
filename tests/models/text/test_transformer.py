"""TransformerLM: causality, positions, tying, perplexity, and the text that it writes."""
import numpy as np
import pytest

from chainrule.common import log_softmax
from chainrule.datasets import Vocabulary, text_batches
from chainrule.layers import Dropout
from chainrule.models import TransformerLM
from chainrule.optimizers import Adam
from chainrule.training import Trainer
from tests.errors import refused
from tests.models.gradients import assert_gradients, scale_up

V, L = 7, 6
IDS = np.random.default_rng(1).integers(0, V, 40)
X, T = next(text_batches(IDS, batch_size=3, steps=5))
positions = pytest.mark.parametrize("positions", ["learned", "sinusoidal"])


def network(**options):
    sizes = {"dimension": 4, "heads": 2, "depth": 2, "length": L, "hidden": 5}
    return scale_up(TransformerLM(V, **{"rng": 0, "dtype": np.float64} | sizes | options))


# What it computes

@positions
@pytest.mark.parametrize("options", [{}, {"tied": True}, {"dropout": 0.3}], ids=str)
def test_gradients(positions, options):
    model = network(positions=positions, **options)
    drops = [layer.buffers["rng"].bit_generator for layer in model.layers if isinstance(layer, Dropout)]
    drops = [(generator, generator.state) for generator in drops]

    def before():
        for generator, state in drops:
            generator.state = state
    assert_gradients(model, X, T, before=before, entries=4)


def test_a_block_by_hand():
    model = network(depth=1, length=4)
    E, P, g1, b1, *attention, g2, b2, W1, c1, W2, c2, g3, b3, Wo, bo = model.params
    Wq, bq, Wk, bk, Wv, bv, Wp, bp = attention

    def norm(x, g, b):
        return g * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) + b

    x = E[X[:, :4]] + P
    u = norm(x, g1, b1)
    q, k, v = u @ Wq + bq, u @ Wk + bk, u @ Wv + bv
    heads = []
    for columns in slice(0, 2), slice(2, 4):
        s = q[..., columns] @ k[..., columns].swapaxes(1, 2) / np.sqrt(2)
        heads.append(np.exp(log_softmax(np.where(np.tri(4, dtype=bool), s, -1e9))) @ v[..., columns])
    x = x + np.concatenate(heads, axis=-1) @ Wp + bp
    a = norm(x, g2, b2) @ W1 + c1
    x = x + 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a ** 3))) @ W2 + c2
    np.testing.assert_allclose(model.forward(X[:, :4]), norm(x, g3, b3) @ Wo + bo, atol=1e-12)


@positions
def test_a_later_token_never_changes_an_earlier_output(positions):
    model, other = network(positions=positions), X.copy()
    other[:, 3] = (X[:, 3] + 1) % V
    y, z = model.predict(X), model.predict(other)
    np.testing.assert_array_equal(y[:, :3], z[:, :3])
    assert (np.abs(y[:, 3:] - z[:, 3:]).max(axis=2) > 1e-6).all()        # and does change every later one


@positions
def test_it_knows_where_a_token_stands(positions):
    y = network(positions=positions).predict(np.array([[1, 2, 3], [2, 1, 3]]))
    assert np.abs(y[0, 2] - y[1, 2]).max() > 1e-3


def test_tied_weights_are_one_array_with_one_gradient():
    model, free = network(tied=True), network()
    assert len(model.params) == len(free.params) - 1
    embedding, output = model.layers[0], model.layers[-1]
    assert np.shares_memory(output.params[0], embedding.params[0])
    model.forward(X, T)
    model.backward()
    np.testing.assert_allclose(model.grads[0], embedding.grads[0] + output.grads[0].T)


def test_one_seed_gives_one_model():
    a, b, c = (TransformerLM(V, 8, 2, 1, L, rng=seed) for seed in (0, 0, 1))
    np.testing.assert_equal(a.params, b.params)
    assert (a.params[0] != c.params[0]).any() and a.params[0].dtype == np.float32
    assert a.forward(X, T) == pytest.approx(np.log(V), rel=0.2)


# Perplexity and writing

def test_perplexity_counts_each_token_once_with_at_least_half_the_length_before_it():
    model, total = network(dropout=0.5), 0.0
    for i in range(0, 39, 3):
        low = max(0, i - 3)
        log_p = log_softmax(model.predict(IDS[None, low:i + 3])[0])
        total -= log_p[np.arange(i - low, i - low + 3), IDS[i + 1:i + 4]].sum()
    assert model.perplexity(IDS) == pytest.approx(np.exp(total / 39))
    whole = log_softmax(model.predict(IDS[None, :L])[0])[np.arange(L), IDS[1:L + 1]]
    assert model.perplexity(IDS[:L + 1], steps=1) == pytest.approx(np.exp(-whole.mean()))
    with refused(ValueError, "TransformerLM: steps … length=6 … 7"):
        model.perplexity(IDS, steps=7)


@positions
def test_greedy_writing_takes_the_likeliest_given_the_last_l_tokens(positions):
    model, ids = network(positions=positions), [3, 1]
    for _ in range(10):
        ids.append(int(model.predict(np.array([ids[-L:]]))[0, -1].argmax()))
    assert model.generate([3, 1], 10, temperature=0).tolist() == ids[2:]
    assert model.generate([3, 1], 10, temperature=1e-9, rng=3).tolist() == ids[2:]
    long, short = (model.generate(start + [3] * 10, 4, rng=0) for start in ([5], []))
    np.testing.assert_array_equal(long, short)


def test_writing_follows_the_seed_and_leaves_no_trace():
    model = network(dropout=0.5)
    text = model.generate([0], 20, rng=0)
    np.testing.assert_array_equal(model.generate([0], 20, rng=0), text)
    assert (model.generate([0], 20, rng=1) != text).any()
    assert model.training and all(layer.cache is None for layer in model.layers)


# Learning

@pytest.mark.parametrize("options", [{}, {"positions": "sinusoidal", "tied": True}], ids=str)
def test_it_learns_a_text_by_heart(options):
    text = "the quick brown fox jumps over the lazy dog. "
    vocabulary = Vocabulary.from_text(text, level="char")
    ids = vocabulary.encode(text * 20)
    model = TransformerLM(len(vocabulary), dimension=32, heads=4, depth=1, length=24, rng=0, **options)
    trainer, rng = Trainer(model, Adam(lr=0.01), metrics=()), np.random.default_rng(0)

    def windows():                       # each epoch from another place, so that no position means a letter
        return text_batches(ids[rng.integers(len(text)):], batch_size=8, steps=24)
    trainer.fit(batches=windows, epochs=30, max_grad_norm=1.0, progress=False)
    assert vocabulary.decode(model.generate(ids[:24], len(text) - 24, temperature=0)) == text[24:]


def test_save_and_load(tmp_path):
    a, b = network(tied=True), network(tied=True)
    b.params[0][...] = 0
    a.save(tmp_path / "model")
    b.load(tmp_path / "model")
    assert a.forward(X, T) == b.forward(X, T)


# What it refuses

def test_bad_input():
    model = network()
    with refused(ValueError, "TransformerLM: ids … integers … 0..6 … 7…"):
        model.forward(np.array([[0, 7]]))
    with refused(TypeError, "TransformerLM: ids … integers … 0..6 … float64…"):
        model.forward(np.array([[0.0, 1.0]]))
    with refused(ValueError, "TransformerLM: ids … empty…"):
        model.forward(np.zeros((2, 0), int))
    for kind in "learned", "sinusoidal":
        with refused(ValueError, "TransformerLM: ids … length=6 … 7"):
            network(positions=kind).forward(np.zeros((1, 7), int))
    with refused(ValueError, "TransformerLM: positions … 'learned' … 'sinusoidal' … 'none'"):
        network(positions="none")
    for name in "vocabulary", "dimension", "heads", "depth", "length", "hidden":
        with refused(ValueError, f"TransformerLM: {name} … at least 1 … 0"):
            TransformerLM(**{"vocabulary": 7, name: 0})
    with refused(ValueError, "MultiHeadAttention: heads … D … 4 … 3…"):
        network(heads=3)
