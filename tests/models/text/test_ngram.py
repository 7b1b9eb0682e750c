"""NGram and KneserNey against their definitions, written with dictionaries."""
from collections import Counter, defaultdict

import numpy as np
import pytest

from chainrule.models import KneserNey, NGram
from tests.errors import refused

V = 5
IDS = np.random.default_rng(0).choice(V, 399, p=[0.4, 0.3, 0.15, 0.1, 0.05])
IDS[1::3] = (IDS[::3] * 2 + 1) % V                               # every third token follows from the one before
TEXT = [None, None, *IDS.tolist()]                               # "no token" in front
OTHER = np.random.default_rng(1).integers(0, V, 60)


def grams(k):
    """The k-grams of TEXT, one for each token of IDS, as tuples."""
    return [tuple(TEXT[i - k + 1:i + 1]) for i in range(2, len(TEXT))]


def share(counts, gram):
    """c(h w) / c(h), or None where h never occurs."""
    total = sum(n for g, n in counts.items() if g[:-1] == gram[:-1])
    return counts[gram] / total if total else None


def interpolated(gram, weights):
    p = [1 / V]
    for k in (1, 2, 3):
        q = share(Counter(grams(k)), gram[3 - k:])
        p.append(p[-1] if q is None else q)
    return np.dot(p, weights)


def kneser_ney(gram, d):
    pairs = Counter(g[1:] for g in set(grams(3)))                # how many different tokens stood in front
    counts = [Counter(g[1:] for g in pairs), pairs, Counter(grams(3))]
    p = 1 / V
    for k, c in enumerate(counts, 1):
        g = gram[3 - k:]
        behind = {h: n for h, n in c.items() if h[:-1] == g[:-1]}
        if behind:
            p = (max(c[g] - d, 0) + d * len(behind) * p) / sum(behind.values())
    return p


def p_last(model, ids):
    return np.exp(model.log_probabilities(ids)[-1])


def test_probabilities_are_those_of_the_definition():
    model, mixed = NGram(V).fit(IDS), KneserNey(V).fit(IDS)
    text = [None, None, *OTHER.tolist()]
    triples = list(zip(text, text[1:], text[2:]))[1:]
    np.testing.assert_allclose(np.exp(model.log_probabilities(OTHER)), [interpolated(g, model.weights) for g in triples])
    np.testing.assert_allclose(np.exp(mixed.log_probabilities(OTHER)), [kneser_ney(g, mixed.discount) for g in triples])


@pytest.mark.parametrize("kind", [NGram, KneserNey])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_they_sum_to_one_behind_seen_and_unseen_contexts(kind, n):
    model = kind(V + 2, n).fit(IDS)                              # two tokens that never occur
    for start in ([0], [6], [0, 1, 2], [6, 1, 5, 1]):
        p = [p_last(model, [*start, w]) for w in range(V + 2)]
        assert sum(p) == pytest.approx(1) and min(p) > 0


def test_the_weights_are_best_for_the_text_held_out():
    model = NGram(V).fit(IDS)
    best, counted = model.weights.copy(), NGram(V)
    counted.count(counted.windows(IDS[:359]))
    p = counted.parts(counted.windows(IDS)[359:])
    assert best.sum() == pytest.approx(1)
    for i, j in np.ndindex(4, 4):
        for step in (0.01, 0.1):
            other = best.copy()
            moved = min(step, other[i])
            other[i] -= moved
            other[j] += moved
            assert np.log(p @ other).sum() <= np.log(p @ best).sum() + 0.01


def test_the_discount_is_best_for_the_text_held_out():
    best, counted = KneserNey(V).fit(IDS).discount, KneserNey(V)
    counted.count(counted.windows(IDS[:359]))

    def likelihood(d):
        counted.discount = d
        return np.log(counted.mixed(counted.windows(IDS)[359:])).sum()
    assert max(np.arange(1, 20) / 20, key=likelihood) == best


def test_perplexity_is_of_all_tokens_but_the_first():
    model = NGram(V, 2).fit(IDS)
    log_p = model.log_probabilities(OTHER)
    assert log_p.shape == (len(OTHER) - 1,)
    assert model.perplexity(OTHER) == pytest.approx(np.exp(-log_p.mean()))
    assert NGram(4, 1).fit([0, 1, 2, 3] * 50).perplexity([0, 1, 2, 3]) == pytest.approx(4)


def test_longer_contexts_help_where_there_is_something_to_know():
    unigram, bigram = (NGram(V, n).fit(IDS[:300]).perplexity(IDS[300:]) for n in (1, 2))
    assert bigram < 0.8 * unigram
    assert KneserNey(V, 2).fit(IDS[:300]).perplexity(IDS[300:]) < 0.8 * unigram


@pytest.mark.parametrize("kind", [NGram, KneserNey])
def test_writing_follows_the_probabilities(kind):
    model, rng = kind(V, 2).fit(IDS), np.random.default_rng(0)
    drawn = [model.generate([3, 0], 1, rng=rng)[0] for _ in range(1500)]
    p = [p_last(model, [3, 0, w]) for w in range(V)]
    assert np.abs(np.bincount(drawn, minlength=V) / 1500 - p).max() < 0.04
    greedy = model.generate([2], 5, temperature=0)
    for before, w in zip([2, *greedy], greedy):
        assert w == np.argmax([p_last(model, [before, v]) for v in range(V)])


def test_the_context_is_the_last_tokens_only():
    model = NGram(V, 3).fit(IDS)
    assert p_last(model, [0, 0, 1, 2, 3]) == p_last(model, [4, 1, 2, 3])
    followed = defaultdict(set)
    for u, v, w in grams(3):
        followed[u, v].add(w)
    assert {len(f) for f in followed.values()} != {V}            # the contexts do differ


def test_what_is_refused():
    for kind in (NGram, KneserNey):
        with refused(RuntimeError, f"{kind.__name__}: … fit(ids)…"):
            kind(V).perplexity(IDS)
    with refused(ValueError, "KneserNey: n … 10000 … (V + 1)^n < 2^63 … 5"):
        KneserNey(10_000, 5)
    with refused(ValueError, "NGram.fit: held_out … 4 … 0.1"):
        NGram(V).fit([0, 1, 2, 3])
    with refused(ValueError, "NGram.fit: held_out … 0..1 … 2"):
        NGram(V).fit(IDS, held_out=2)
    with refused(ValueError, "NGram: ids … two … one"):
        NGram(V).fit(IDS).perplexity([1])
    with refused(ValueError, "NGram: ids … integers … 0..4 … 5…"):
        NGram(V).fit([*IDS, V])
    with refused(ValueError, "NGram: n … at least 1 … 0"):
        NGram(V, 0)
