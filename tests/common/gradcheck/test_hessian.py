"""Second derivatives: against PyTorch's, against numbers, and against what can be worked out by hand."""
import builtins
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, aslinearoperator, cg, eigsh

from chainrule.common import L2
from chainrule.gradcheck import numerical_gradient
from chainrule.gradcheck.hessian import HessianOperator, hessian_vector_product
from chainrule.layers import Affine, Dropout, ReLU, SoftmaxWithLoss, SquaredError, Tanh
from chainrule.models import Graph, Input, Sequential
from tests.errors import refused

PATH = Path(__file__).parent / "data" / "hessian.npz"


def affine(n_in, n_out, seed=0, dtype=np.float64):
    layer = Affine.init(n_in, n_out, rng=seed, dtype=dtype)
    layer.params[1][...] = np.random.default_rng(seed + 100).standard_normal(n_out) / 4
    return layer


def classifier(activation, dtype=np.float64, **options):
    return Sequential(affine(3, 5, 1, dtype), activation(), affine(5, 3, 2, dtype), loss=SoftmaxWithLoss(), **options)


def tied():
    """An autoencoder whose decoder is its encoder, transposed."""
    W = np.random.default_rng(3).standard_normal((4, 3))
    return Sequential(Affine(W, np.zeros(3)), Tanh(), Affine(W.T, None), loss=SquaredError())


def two_inputs():
    a, b, t, u = Input(), Input(), Input(), Input()
    h = Tanh()(affine(2, 4, 1)(a) * affine(3, 4, 2)(b))
    y = affine(4, 3, 3)(h)
    return Graph([a, b], y, [t, u], loss=SoftmaxWithLoss()(y, t) + 0.3 * SquaredError()(h, u))


MODELS = {"Tanh, L2": lambda: classifier(Tanh, penalty=L2(0.1)), "ReLU": lambda: classifier(ReLU), "tied": tied,
          "Graph": two_inputs}


def data(name):
    rng = np.random.default_rng([5, *name.encode()])
    if name == "Graph":
        x = rng.standard_normal((6, 2)), rng.standard_normal((6, 3))
        return x, (rng.integers(0, 3, 6), rng.standard_normal((6, 4)))
    if name == "tied":
        x = rng.standard_normal((6, 4))
        return x, x
    return rng.standard_normal((6, 3)), rng.integers(0, 3, 6)


def theta(model):
    return np.concatenate([p.ravel() for p in model.params])


def dense(model, x, t):
    """The Hessian by numerical differentiation of the hand-written gradient, entry by entry."""
    ends = np.cumsum([p.size for p in model.params])[:-1]

    def gradient(values):
        for p, part in zip(model.params, np.split(values, ends)):
            p[...] = part.reshape(p.shape)
        model.forward(x, t)
        model.backward()
        return np.concatenate([g.ravel() for g in model.grads])

    start = theta(model)
    H = np.array([numerical_gradient(gradient, start, dout=e) for e in np.eye(start.size)])
    gradient(start)
    return H


# Right

@pytest.mark.parametrize("name", MODELS)
def test_products_are_those_of_pytorch(name):
    with np.load(PATH) as stored:
        values, H = stored[f"{name}|theta"], stored[f"{name}|H"]
        x, t = (tuple(stored[key] for key in stored.files if key.startswith(f"{name}|{what}.")) for what in "xt")
    model = MODELS[name]()
    for p, part in zip(model.params, np.split(values, np.cumsum([p.size for p in model.params])[:-1])):
        p[...] = part.reshape(p.shape)
    got = HessianOperator(model, x, t) @ np.eye(len(H))
    assert np.abs(got - H).max() < 1e-9 * np.abs(H).max()


@pytest.mark.parametrize("name", ["Tanh, L2", "ReLU", "tied"])
def test_it_agrees_with_a_dense_hessian_by_numerical_differentiation(name):
    x, t = data(name)
    H = dense(MODELS[name](), x, t)
    got = HessianOperator(MODELS[name](), x, t) @ np.eye(len(H))
    np.testing.assert_allclose(got, H, atol=1e-8 * np.abs(H).max())


def test_a_quadratic_has_the_hessian_known_by_hand():
    x = np.random.default_rng(0).standard_normal((7, 3))
    model = Sequential(affine(3, 2), loss=SquaredError())
    X = np.hstack([x, np.ones((7, 1))])
    # L = 1/2N Σ ‖x_n W + b - t_n‖²: XᵀX/N for each output; W comes row by row, so outputs alternate.
    H = np.kron(X.T @ X / 7, np.eye(2))
    np.testing.assert_allclose(HessianOperator(model, x, np.zeros((7, 2))) @ np.eye(8), H, atol=1e-10)


def test_the_penalty_adds_lambda_for_weights_alone():
    x, t = data("ReLU")
    v = np.random.default_rng(1).standard_normal(38)
    weights = np.r_[np.ones(15), np.zeros(5), np.ones(15), np.zeros(3)]
    difference = (hessian_vector_product(classifier(Tanh, penalty=L2(0.7)), x, t, v)
                  - hessian_vector_product(classifier(Tanh), x, t, v))
    np.testing.assert_allclose(difference, 0.7 * weights * v, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_it_is_symmetric_and_linear(name):
    model, (x, t) = MODELS[name](), data(name)
    v, w = np.random.default_rng(2).standard_normal((2, theta(model).size))
    H = HessianOperator(model, x, t)
    scale = np.linalg.norm(H @ v)
    assert abs(w @ (H @ v) - v @ (H @ w)) < 1e-8 * scale
    np.testing.assert_allclose(H @ (2 * v - 3 * w), 2 * (H @ v) - 3 * (H @ w), atol=1e-8 * scale)
    np.testing.assert_array_equal(H @ (0 * v), 0 * v)


@pytest.mark.parametrize("size", [1e-8, 1e8])
def test_the_length_of_v_does_not_matter(size):
    x, t = data("ReLU")
    v = np.random.default_rng(3).standard_normal(38)
    once = hessian_vector_product(classifier(Tanh), x, t, v)
    np.testing.assert_allclose(hessian_vector_product(classifier(Tanh), x, t, size * v) / size, once, rtol=1e-9)


@pytest.mark.parametrize("residual", [1.0, 1e-4, 1e-7])
def test_a_kink_close_by_is_stepped_around(residual):
    # ReLU inputs at ±1e-8: the first step crosses all of them, and H is still that of the piece on which θ lies.
    x = np.array([[1.0], [-1.0]])
    model = Sequential(Affine(np.array([[1e-8]]), np.zeros(1)), ReLU(), Affine(np.array([[2.0]]), np.zeros(1)),
                       loss=SquaredError())
    # L = ¼ Σ (y - t)² with y = a (w + b) + c for the first sample and y = c for the second, which is on the dead side.
    w, a = 1e-8, 2.0
    slope = np.array([a, a, w, 1.0])
    H = np.outer(slope, slope) / 2 + np.diag([0, 0, 0, 0.5])
    for i in (0, 1):
        H[i, 2] += residual / 2
        H[2, i] += residual / 2
    t = np.array([[a * w - residual], [0.0]])
    np.testing.assert_allclose(HessianOperator(model, x, t) @ np.eye(4), H, atol=1e-6)


class Rounded(Tanh):
    """A layer that keeps so many decimals."""

    def __init__(self, decimals):
        super().__init__()
        self.decimals = decimals

    def forward(self, x):
        return super().forward(x).round(self.decimals)


@pytest.mark.parametrize("decimals", [9, 10, 11])
def test_a_layer_that_rounds_costs_digits_and_no_more(decimals):
    x, t = data("ReLU")
    v = np.random.default_rng(7).standard_normal(38)
    exact = hessian_vector_product(classifier(Tanh), x, t, v)
    got = hessian_vector_product(classifier(lambda: Rounded(decimals)), x, t, v)
    assert np.linalg.norm(got - exact) < 10 ** (5 - decimals) * np.linalg.norm(exact)


def test_flat_directions_at_a_perfect_fit_give_zero():
    # The gradient is nothing but rounding here, and so are its differences.
    x, W = np.random.default_rng(4).standard_normal((4, 6)), np.full((6, 1), 1e3)
    flat = np.linalg.svd(x)[2][-1]
    model = Sequential(Affine(W, None), loss=SquaredError())
    assert np.abs(hessian_vector_product(model, x, x @ W, flat)).max() < 1e-8


# What it leaves alone, and what it starts from

def test_a_float32_model_is_differentiated_in_float64_and_left_as_it_was():
    x, t = data("ReLU")
    v = np.random.default_rng(5).standard_normal(38)
    single, double = classifier(Tanh, np.float32), classifier(Tanh)
    for p, q in zip(double.params, single.params):
        p[...] = q
    loss = single.forward(x, t)
    single.backward()
    before = [a.copy() for a in (*single.params, *single.grads)]
    got = hessian_vector_product(single, x, t, v)
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, hessian_vector_product(double, x, t, v))
    assert all(np.array_equal(a, b) for a, b in zip((*single.params, *single.grads), before))
    single.backward()                                                    # the caches are still there
    assert single.forward(x, t) == loss


def test_the_operator_keeps_the_parameters_at_which_it_was_made():
    model, (x, t) = classifier(Tanh), data("ReLU")
    H, v = HessianOperator(model, x, t), np.ones(38)
    before = H @ v
    model.params[0][...] = 0
    x[...] = 0
    np.testing.assert_array_equal(H @ v, before)


def test_dropout_drops_the_same_entries_each_time_and_none_in_evaluation_mode():
    x, t = data("ReLU")
    v = np.random.default_rng(6).standard_normal(38)

    def net(p):
        return Sequential(affine(3, 5, 1), Tanh(), Dropout(p, rng=8), affine(5, 3, 2), loss=SoftmaxWithLoss())

    model = net(0.5)
    state = model.layers[2].buffers["rng"].bit_generator.state
    got = hessian_vector_product(model, x, t, v)
    np.testing.assert_array_equal(got, hessian_vector_product(model, x, t, v))
    assert model.layers[2].buffers["rng"].bit_generator.state == state
    assert model.training
    model.training = False
    without = hessian_vector_product(model, x, t, v)
    assert not np.allclose(got, without, rtol=0.01)
    np.testing.assert_allclose(without, hessian_vector_product(net(0.0), x, t, v), rtol=1e-8, atol=1e-10)


# Krylov methods

def test_eigsh_gives_the_top_eigenvalues():
    x, t = data("ReLU")
    H = HessianOperator(classifier(Tanh), x, t)
    assert isinstance(H, LinearOperator) and H.dtype == np.float64
    values, vectors = eigsh(H, k=3, which="LA", v0=np.ones(38))
    matrix = dense(classifier(Tanh), x, t)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[-3:], rtol=1e-7)
    np.testing.assert_allclose(matrix @ vectors, values * vectors, atol=1e-6)


def test_cg_gives_a_newton_step():
    x, t = data("ReLU")[0], np.array([0, 1, 2, 2, 1, 0])
    model = Sequential(Affine(np.zeros((3, 3)), np.zeros(3)), loss=SoftmaxWithLoss(), penalty=L2(0.1))
    for _ in range(6):
        model.forward(x, t)
        model.backward()
        g = np.concatenate([g.ravel() for g in model.grads])
        # The scores may all move by a constant, which the biases alone do: flat, but for the 1e-4 added.
        damped = HessianOperator(model, x, t) + aslinearoperator(1e-4 * np.eye(12))
        step, failed = cg(damped, -g, rtol=1e-10)
        assert not failed
        np.testing.assert_allclose(step, np.linalg.solve(damped @ np.eye(12), -g), atol=1e-6)
        for p, part in zip(model.params, np.split(step, [9])):
            p += part.reshape(p.shape)
    assert np.linalg.norm(g) < 1e-9


def test_it_is_its_own_adjoint():
    x, t = data("ReLU")
    H, v = HessianOperator(classifier(Tanh), x, t), np.ones(38)
    np.testing.assert_array_equal(H.H @ v, H @ v)


# Errors

def test_a_wrong_v_is_refused():
    model, (x, t) = classifier(Tanh), data("ReLU")
    who = "hessian_vector_product: v"
    with refused(ValueError, f"{who} … (38,) … (37,)"):
        hessian_vector_product(model, x, t, np.ones(37))
    v = np.ones(38)
    v[4] = np.nan
    with refused(ValueError, f"{who} … finite … nan at index (4,)"):
        hessian_vector_product(model, x, t, v)
    with refused(ValueError, "HessianOperator: v … finite … nan at index (4,)"):
        HessianOperator(model, x, t) @ v
    with pytest.raises(ValueError):
        HessianOperator(model, x, t) @ np.ones(37)


def test_what_is_no_model_or_no_loss_is_refused():
    x, t = data("ReLU")
    message = "… forward, backward, params and grads …"
    with refused(TypeError, f"HessianOperator: model {message} the class Sequential"):
        HessianOperator(Sequential, x, t)
    with refused(TypeError, f"HessianOperator: model {message} function"):
        HessianOperator(classifier, x, t)
    with refused(ValueError, "HessianOperator: … model … no parameters…"):
        HessianOperator(Sequential(Tanh(), loss=SoftmaxWithLoss()), x, t)
    with refused(ValueError, "HessianOperator: model.forward(x, t) … shape (6, 3)"):
        HessianOperator(classifier(Tanh), x, None)


def test_nan_in_the_gradient_is_named():
    x, t = data("ReLU")
    x[0] = np.nan
    with refused(ValueError, "HessianOperator: the gradient … finite … nan at index (0,)"):
        HessianOperator(classifier(Tanh), x, t)


def test_a_kink_at_the_parameters_is_refused():
    one = np.ones((1, 1))
    model = Sequential(Affine(one, np.zeros(1)), ReLU(), Affine(one.copy(), None), loss=SquaredError())
    with refused(ValueError, "hessian_vector_product: … ReLU … 0…"):
        hessian_vector_product(model, np.zeros((1, 1)), np.ones((1, 1)), np.ones(3))


def test_without_scipy_the_operator_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def no_scipy(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_scipy)
    x, t = data("ReLU")
    with refused(ImportError, 'HessianOperator: SciPy … pip install "chainrule[notebooks]"…'):
        HessianOperator(classifier(Tanh), x, t)
    assert hessian_vector_product(classifier(Tanh), x, t, np.ones(38)).shape == (38,)
