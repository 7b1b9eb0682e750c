"""Trained models: what their files say, their scores; fine-tuning beats training from scratch."""
import numpy as np
import pytest

from chainrule.datasets import load_digits, load_mnist, load_python_docs
from chainrule.models import LeNet, load_pretrained, nearest
from chainrule.models.pretrained import BUILD, FOLDER
from chainrule.optimizers import Adam
from tests.errors import refused


def accuracy(model, x, t):
    return (model.predict(x).argmax(axis=1) == t).mean()


@pytest.mark.parametrize("name", BUILD)
def test_what_stands_beside_the_weights(name):
    model = load_pretrained(name)
    assert model.trained.keys() == {"data", "command", "seed", "score"}
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 600_000
    again = load_pretrained(name)
    assert all((p == q).all() and p is not q for p, q in zip(model.params, again.params))


def test_the_digits_score_what_they_say():
    _, (x, t) = load_digits()
    model = load_pretrained("lenet-digits")
    assert f"{100 * accuracy(model, x, t):.1f} %" in model.trained["score"]


def test_mnist_scores_what_it_says(data):
    x, t = load_mnist("test", data("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"))
    model = load_pretrained("lenet-mnist")
    assert f"{100 * accuracy(model, x[8000:], t[8000:]):.1f} %" in model.trained["score"]


def test_words_have_their_kin_nearby():
    model = load_pretrained("skipgram-python")
    vectors, vocabulary = model.vectors - model.vectors.mean(axis=0), model.tokenizer
    near = {word: vocabulary.decode(nearest(vectors, [vocabulary[word]], k=10)[0][0]).split()
            for word in ("tuple", "float")}
    assert {"list", "tuples", "lists"} & set(near["tuple"])
    assert {"floating", "point", "decimal"} & set(near["float"])


def test_the_transformer_writes_like_a_manual():
    model = load_pretrained("transformer-python")
    ids = model.tokenizer.encode(load_python_docs(bundled=True)[-2000:])
    assert np.log2(model.perplexity(ids)) < 2.4                         # of text not trained on
    written = model.tokenizer.decode(model.generate(model.tokenizer.encode("The "), 400, rng=0))
    known, words = set(load_python_docs(bundled=True).split()), written.split()[:-1]
    assert sum(word in known for word in words) > len(words) / 2


def test_an_unknown_name():
    with refused(ValueError, "load_pretrained: name should be 'lenet-digits' or 'lenet-mnist' or "
                             "'skipgram-python' or 'transformer-python', got 'lenet'"):
        load_pretrained("lenet")


def large(x):
    """The digits' images as large as MNIST's."""
    return np.pad(x.repeat(3, axis=2).repeat(3, axis=3), ((0, 0), (0, 0), (2, 2), (2, 2)))


def tuned(model, x, t, frozen=()):
    """Train all but the ``frozen`` layers for 100 steps."""
    model.freeze(*frozen)
    optimizer = Adam(lr=1e-3)
    for _ in range(100):
        model.forward(x, t)
        model.backward()
        optimizer.update(model.params, model.grads)
    return model


def test_fine_tuning_beats_training_from_scratch_on_ten_images_a_class():
    """On digits of other hands, scanned otherwise; the convolutions stay as MNIST taught them."""
    (x, t), (x_test, t_test) = load_digits()
    rng, gains = np.random.default_rng(0), []
    for seed in range(5):
        few = np.concatenate([rng.permutation(np.flatnonzero(t == c))[:10] for c in range(10)])
        fine = tuned(load_pretrained("lenet-mnist"), large(x[few]), t[few], frozen=("0", "3"))
        scratch = tuned(LeNet(rng=seed), large(x[few]), t[few])
        scores = (accuracy(model, large(x_test), t_test) for model in (fine, scratch))
        gains.append(next(scores) - next(scores))
    assert np.mean(gains) > 0.02 and np.median(gains) > 0.02
