"""CBOW and SkipGram: both losses, the sampler, and that words of like company end up side by side."""
import numpy as np
import pytest
from scipy import stats

from chainrule.common import log_softmax
from chainrule.datasets import Vocabulary
from chainrule.models import CBOW, SkipGram, context_windows, nearest
from chainrule.models.text import NegativeSampler
from chainrule.optimizers import SGD, Adam
from chainrule.training import Trainer
from tests.errors import refused
from tests.models.gradients import assert_gradients, scale_up

V, D = 7, 4
COUNTS = np.array([40, 20, 10, 5, 2, 1, 0])
CONTEXTS, WORDS = np.array([[0, 1, 1], [2, 5, 0]]), np.array([3, 1])
BATCH = {CBOW: (CONTEXTS, WORDS), SkipGram: (WORDS, CONTEXTS)}
models = pytest.mark.parametrize("cls", [CBOW, SkipGram])


def network(cls, negatives=0, **options):
    counts = COUNTS if negatives else None
    return scale_up(cls(V, D, **{"counts": counts, "negatives": negatives, "rng": 0, "dtype": np.float64} | options))


def sampler_of(model):
    return next(layer for layer in model.layers if isinstance(layer, NegativeSampler))


def same_draws(model):
    """A function that takes the sampler's generator back to where it is now."""
    generator = sampler_of(model).buffers["rng"].bit_generator
    state = generator.state
    return lambda: setattr(generator, "state", state)


# What they compute

def test_cbow_scores_words_by_the_mean_of_the_context():
    model = network(CBOW)
    W_in, W_out = model.params
    scores = np.stack([W_in[row].mean(axis=0) for row in CONTEXTS]) @ W_out
    np.testing.assert_allclose(model.forward(CONTEXTS), scores)
    assert model.forward(CONTEXTS, WORDS) == pytest.approx(-log_softmax(scores)[[0, 1], WORDS].mean())


def test_skip_gram_guesses_every_word_of_the_context():
    model = network(SkipGram)
    W_in, W_out = model.params
    log_p = log_softmax(W_in[WORDS] @ W_out)
    expected = -np.mean([[log_p[n, c] for c in CONTEXTS[n]] for n in range(2)])
    assert model.forward(WORDS, CONTEXTS) == pytest.approx(expected)
    assert model.forward(WORDS, CONTEXTS[:, 0]) == pytest.approx(-log_p[[0, 1], CONTEXTS[:, 0]].mean())


def test_negative_sampling_tells_the_true_word_from_the_drawn():
    model = network(CBOW, 3)
    back = same_draws(model)
    ids, labels = sampler_of(model).forward(WORDS)
    assert ids[:, 0].tolist() == WORDS.tolist() and labels.tolist() == [[1, 0, 0, 0]] * 2
    back()
    W_in, W_out = model.params
    h = W_in[CONTEXTS].mean(axis=1)
    s = (h[:, None] * W_out[ids]).sum(axis=2) * np.array([-1, 1, 1, 1])
    assert model.forward(CONTEXTS, WORDS) == pytest.approx(np.log1p(np.exp(s)).sum(axis=1).mean())
    np.testing.assert_allclose(model.predict(CONTEXTS), h)
    np.testing.assert_allclose(model.scores(CONTEXTS), h @ W_out.T)
    np.testing.assert_array_equal(network(CBOW).scores(CONTEXTS), network(CBOW).predict(CONTEXTS))


@models
@pytest.mark.parametrize("negatives", [0, 2])
def test_gradients(cls, negatives):
    model = network(cls, negatives)
    assert_gradients(model, *BATCH[cls], before=same_draws(model) if negatives else lambda: None)


@models
def test_with_negative_sampling_only_the_rows_that_were_used_have_gradients(cls):
    model = network(cls, 2)
    before = model.vectors.copy()
    model.forward(*BATCH[cls])
    model.backward()
    used = np.unique(BATCH[cls][0])
    assert sorted(model.grads[0].rows.tolist()) == used.tolist() and len(model.grads[1].rows) < V
    SGD(lr=1.0).update(model.params, model.grads)
    assert np.flatnonzero((model.vectors != before).any(axis=1)).tolist() == used.tolist()


@models
@pytest.mark.parametrize("negatives", [0, 2])
def test_save_and_load(cls, negatives, tmp_path):
    a, b = network(cls, negatives), network(cls, negatives, rng=5)
    a.save(tmp_path / "model")
    b.params[0][...] = 0
    b.load(tmp_path / "model")
    assert a.forward(*BATCH[cls]) == b.forward(*BATCH[cls])          # the generator too


# The sampler

def test_words_are_drawn_by_the_three_quarters_power_of_their_counts():
    sampler = NegativeSampler(COUNTS, 5, rng=0)
    for true in 1, 6:
        ids, _ = sampler.forward(np.full(20_000, true))
        drawn = np.bincount(ids[:, 1:].ravel(), minlength=V)
        p = COUNTS ** 0.75 * (np.arange(V) != true)
        assert drawn[true] == drawn[6] == 0
        assert stats.chisquare(drawn[p > 0], (p / p.sum() * drawn.sum())[p > 0]).pvalue > 0.01


def test_each_word_of_a_context_has_negatives_of_its_own():
    ids, labels = NegativeSampler(COUNTS, 2, rng=0).forward(CONTEXTS)
    assert ids.shape == labels.shape == (2, 9)
    assert ids[:, ::3].tolist() == CONTEXTS.tolist() and labels[0].tolist() == [1, 0, 0] * 3
    assert all(w not in ids[n, 3 * c + 1:3 * c + 3] for n in range(2) for c, w in enumerate(CONTEXTS[n]))


def test_the_sampler_draws_the_same_in_every_evaluation_and_leaves_no_trace():
    model = network(CBOW, 5)
    x, t = np.tile(CONTEXTS, (50, 1)), np.tile(WORDS, 50)
    trainer = Trainer(model, SGD(), metrics=())
    state = sampler_of(model).buffers["rng"].bit_generator.state
    assert trainer.evaluate(x, t) == trainer.evaluate(x, t)
    assert sampler_of(model).buffers["rng"].bit_generator.state == state
    assert model.forward(x, t) != model.forward(x, t)
    drawn = [sampler_of(network(CBOW, 5, rng=seed)).forward(t)[0] for seed in (1, 1, 2)]
    assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any()


def test_a_word_that_is_nearly_the_whole_text_costs_no_more():
    ids, _ = NegativeSampler([10 ** 12, 1], 100, rng=0).forward(np.array([0]))
    assert ids[0, 1:].tolist() == [1] * 100


# Learning

@models
@pytest.mark.parametrize("negatives", [0, 4])
def test_words_of_like_company_get_like_vectors(cls, negatives):
    pairs = np.random.default_rng(0).integers(0, 2, 399)
    ids = pairs + 2 * np.tile([0, 1, 2], 133)                # 0 and 1 mean the same, 2 and 3, ...
    contexts, words = context_windows(ids, 1)
    x, t = (contexts, words) if cls is CBOW else (words, contexts)
    model = cls(6, 8, counts=np.bincount(ids), negatives=negatives, rng=0)
    history = Trainer(model, Adam(lr=0.03), metrics=()).fit(x, t, epochs=15, rng=0, progress=False)
    assert history["loss"][-1] < history["loss"][0]
    assert nearest(model.vectors, np.arange(6), k=1)[0].ravel().tolist() == [1, 0, 3, 2, 5, 4]


def test_context_windows():
    contexts, words = context_windows(np.arange(6), 2)
    assert contexts.tolist() == [[0, 1, 3, 4], [1, 2, 4, 5]] and words.tolist() == [2, 3]


def test_nearest_goes_by_direction():
    vectors = np.array([[1, 0], [100, 1], [0, 1], [-1, 0]], np.float32)
    ids, cosines = nearest(vectors, np.array([0, 2]), k=3)
    assert ids.tolist() == [[1, 2, 3], [1, 0, 3]]
    np.testing.assert_allclose(cosines[0], [100 / np.sqrt(10001), 0, -1])


# What they refuse

@pytest.mark.parametrize("negatives", [0, 2])
def test_contexts_and_words_that_changed_places(negatives):
    sentences = {CBOW: "CBOW: x … (N, C) … (2,) … context_windows(ids)",
                 SkipGram: "SkipGram: x … (N,) … (2, 4) … context_windows(ids)"}
    x, t = np.array([[0, 1, 3, 4], [1, 2, 4, 5]]), np.array([2, 3])
    for cls, wrong in ((CBOW, t), (SkipGram, x)):
        model = network(cls, negatives)
        for call in (model.forward, model.predict, lambda a, model=model: model.forward(a, x if a is t else t)):
            with refused(ValueError, sentences[cls]):
                call(wrong)
    with refused(ValueError, "CBOW: x … (N, C) … (4,) … context_windows(ids)"):
        network(CBOW, negatives).forward(x[0], t[:1])


def test_a_vector_in_place_of_ids():
    vectors = np.eye(3)
    with refused(TypeError, "nearest: ids … integers … 0..2 … a vector … nearest(np.vstack([vectors, q]), [len(vectors)])"):
        nearest(vectors, vectors[0] - vectors[1])
    q = vectors[0] + 0.1 * vectors[1]
    assert nearest(np.vstack([vectors, q]), [3], k=2)[0].tolist() == [[0, 1]]

def test_bad_options_and_ids():
    with refused(ValueError, "CBOW: counts … 7 … negative … None … Vocabulary.counts…"):
        CBOW(V, D, negatives=5)
    with refused(ValueError, "SkipGram: counts … 7 … (6,)…"):
        SkipGram(V, D, counts=COUNTS[:6], negatives=5)
    with refused(ValueError, "CBOW: counts … 2 … negative … Vocabulary … Vocabulary.counts…"):
        CBOW(2, D, counts=Vocabulary(["a", "b"]), negatives=2)
    with refused(ValueError, "NegativeSampler: counts … at least 0…"):
        CBOW(3, D, counts=[0, 4, 0], negatives=2)
    with refused(ValueError, "CBOW: negatives … at least 0 … -1…"):
        CBOW(V, D, negatives=-1)
    with refused(ValueError, "Embedding: ids … integers … 0..6 … 7…"):
        network(CBOW).forward(np.array([[7, 0]]))
    with refused(TypeError, "Embedding: ids … integers … 0..6 … float64…"):
        network(SkipGram).forward(np.array([1.0]))
    with refused(ValueError, "NegativeSampler: t … integers … 0..6 … 9…"):
        network(CBOW, 2).forward(CONTEXTS, np.array([0, 9]))
    with refused(ValueError, "SkipGram: t … integers … 0..6 … -1…"):
        network(SkipGram).forward(WORDS, np.array([0, -1]))
    for negatives in 0, 2:
        with refused(ValueError, "SkipGram: t … 5 … 4"):
            network(SkipGram, negatives).forward(np.arange(5), np.zeros((4, 2), int))
        with refused(ValueError, "CBOW: t … 3 … 0"):
            network(CBOW, negatives).forward(np.zeros((3, 2), int), np.array(0))
    for kind in CBOW, SkipGram:
        with refused(ValueError, f"{kind.__name__}: dimension … at least 1 … 0"):
            kind(7, 0)
    with refused(ValueError, "context_windows: ids … at least 5 … shape (4,)"):
        context_windows(np.arange(4), 2)
    with refused(TypeError, "context_windows: ids … integers … float64 ndarray"):
        context_windows(np.arange(9.0), 2)
    with refused(ValueError, "nearest: ids … (n,) … ()…"):
        nearest(np.ones((7, 2)), 0, 2)
    with refused(ValueError, "nearest: ids … (n,) … (1, 2)"):
        nearest(np.ones((7, 2)), [[0, 1]], 2)
    with refused(ValueError, "nearest: k … 1..6 … 7"):
        nearest(np.ones((7, 2)), [0], k=7)
