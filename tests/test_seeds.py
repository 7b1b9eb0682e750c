"""Whatever takes a seed refuses what is none, and says who was asked."""
import numpy as np
import pytest

from chainrule import layers as L
from chainrule import models as M
from chainrule.gradcheck import check_gradients
from tests.errors import refused

TAKERS = {
    "Dropout": lambda rng: L.Dropout(rng=rng),
    "LSTM": lambda rng: L.LSTM.init(2, 3, rng=rng),
    "MultiHeadAttention": lambda rng: L.MultiHeadAttention.init(4, 2, rng=rng),
    "MLP": lambda rng: M.MLP([2, 3], rng=rng),
    "LanguageModel": lambda rng: M.LanguageModel(5, rng=rng),
    "AttentionSeq2Seq": lambda rng: M.AttentionSeq2Seq(5, rng=rng),
    "TransformerLM": lambda rng: M.TransformerLM(5, rng=rng),
    "LanguageModel.generate": lambda rng: M.LanguageModel(5, rng=0).generate([1], 2, rng=rng),
    "check_gradients": lambda rng: check_gradients(L.ReLU(), np.ones((5, 2)), rng=rng),
    **{name: lambda rng, name=name: getattr(M, name)(rng=rng)
       for name in ("LeNet", "AlexNet", "VGG", "NiN", "GoogLeNet", "ResNet")},
}


@pytest.mark.parametrize("rng, error", [("a", TypeError), (1.5, TypeError), (-1, ValueError)])
@pytest.mark.parametrize("name", TAKERS)
def test_what_is_no_seed_is_refused(name, rng, error):
    with refused(error, f"{name}: rng … numpy.random.Generator … {rng!r}"):
        TAKERS[name](rng)
