"""The convolutional networks: the parameter counts of the courses, shapes on large and small images, gradients, learning."""
import numpy as np
import pytest

from chainrule.datasets import load_digits, random_shifts
from chainrule.gradcheck import numerical_gradient
from chainrule.gradcheck.copying import float64_copy
from chainrule.layers import Affine, AveragePool, Convolution, MaxPool, Sigmoid
from chainrule.models import VGG, AlexNet, GoogLeNet, Graph, LeNet, NiN, ResNet, inception, residual, small_inception
from chainrule.optimizers import Adam
from chainrule.training import Trainer
from tests.errors import refused


@pytest.fixture
def empty_weights(monkeypatch):
    """Weights that cost nothing to make: memory that is never touched."""
    for cls in (Affine, Convolution):
        init = cls.init.__func__

        def empty(cls, *sizes, init=init, **options):
            return init(cls, *sizes, **options | {"initializer": lambda shape, rng, dtype: np.zeros(shape, dtype)})
        monkeypatch.setattr(cls, "init", classmethod(empty))


@pytest.mark.parametrize("make, count", [
    (lambda: LeNet(), 61_706), (lambda: LeNet(padding=0), 44_426),
    (lambda: AlexNet(), 62_378_344), (lambda: AlexNet((1, 224, 224), 10), 46_764_746),
    (lambda: VGG(11), 132_863_336), (lambda: VGG(11, (1, 224, 224), 10), 128_806_154), (lambda: VGG(16), 138_357_544),
    (lambda: NiN((1, 224, 224), 10), 1_992_166), (lambda: GoogLeNet((1, 96, 96), 10), 5_977_530),
    (lambda: ResNet(18), 11_689_512),
], ids=["LeNet", "LeNet unpadded", "AlexNet", "AlexNet grey", "VGG-11", "VGG-11 grey", "VGG-16", "NiN", "GoogLeNet", "ResNet-18"])
def test_parameter_counts_of_the_courses(make, count, empty_weights):
    assert sum(p.size for p in make().params) == count


SMALL = {
    "LeNet": lambda shape: LeNet(shape, 7, rng=0),
    "AlexNet": lambda shape: AlexNet(shape, 7, rng=0),
    "VGG": lambda shape: VGG(6, shape, 7, rng=0),
    "NiN": lambda shape: NiN(shape, 7, rng=0),
    "GoogLeNet": lambda shape: GoogLeNet(shape, 7, rng=0),
    "ResNet-8": lambda shape: ResNet(8, shape, 7, rng=0),
    "ResNet-18": lambda shape: ResNet(18, shape, 7, rng=0),
    "inception": lambda shape: small_inception(shape, 7, rng=0),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 17)])
def test_each_fits_small_images(name, shape, empty_weights):
    model = SMALL[name](shape)
    assert model.predict(np.zeros((2, *shape), np.float32)).shape == (2, 7)


@pytest.mark.parametrize("block, shape", [
    (lambda: residual(2, 3, stride=2, rng=0), (4, 2, 5, 5)), (lambda: residual(3, 3, rng=0), (4, 3, 4, 4)),
    (lambda: inception(3, (2, (2, 3), (1, 2), 2), rng=0), (2, 3, 4, 4))], ids=["down", "same", "inception"])
def test_gradients_of_the_blocks(block, shape):
    (model,), x = float64_copy(block()), np.random.default_rng(0).standard_normal(shape)
    dout = np.random.default_rng(1).standard_normal(model.forward(x).shape)
    dx = model.backward(dout)
    np.testing.assert_allclose(dx, numerical_gradient(model.forward, x, dout), atol=1e-6)


def test_an_identity_block_adds_its_input():
    block = residual(3, 3, rng=0)
    for p in block.params:
        p[...] = 0
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(block.forward(x), np.maximum(x, 0))


def test_auxiliary_classifiers_take_part_in_the_loss_only():
    rng = np.random.default_rng(0)
    x, t = rng.random((2, 1, 8, 8)).astype(np.float32), np.array([1, 2])
    plain, auxiliary = GoogLeNet((1, 8, 8), 4, rng=0), GoogLeNet((1, 8, 8), 4, auxiliary=True, rng=0)
    extra = 2 * 128 + (512 + 528) * 128 + 2 * (128 * 4 + 4)
    assert sum(p.size for p in auxiliary.params) - sum(p.size for p in plain.params) == extra
    assert auxiliary.forward(x).shape == (2, 4) and isinstance(auxiliary, Graph)
    main = plain.loss.forward(auxiliary.forward(x), t)
    assert auxiliary.forward(x, t) > 1.2 * main
    auxiliary.backward()
    assert all(g.any() for g in auxiliary.grads)


def test_options_of_lenet_and_wrong_depths():
    kinds = [type(layer) for layer in LeNet(pool=AveragePool, activation=Sigmoid).layers]
    assert kinds.count(AveragePool) == 2 and kinds.count(Sigmoid) == 4
    with refused(ValueError, "VGG: depth … 6, 11, 16 … 12"):
        VGG(12)
    with refused(ValueError, "VGG: depth … 6, 11, 16 … [16]"):
        VGG([16])
    with refused(ValueError, "ResNet: depth … 18 … 8, 14, 20…"):
        ResNet(10)


@pytest.mark.parametrize("make", [LeNet, AlexNet, VGG, NiN, GoogLeNet, ResNet, small_inception])
@pytest.mark.parametrize("shape", [(8, 8), (1, 8.5, 8), (1, 0, 8), 8, "abc", None])
def test_what_is_no_shape_of_images_is_refused(make, shape):
    with refused(ValueError, f"{make.__name__}: input_shape … (C, H, W) … whole numbers … at least 1 … {shape!r}"):
        make(input_shape=shape)
    with refused(ValueError, f"{make.__name__}: classes … at least 1 … 0"):
        make(input_shape=(1, 8, 8), classes=0)


def test_what_makes_no_layers_and_no_block_is_refused():
    for name, example, bad, got in (("pool", "MaxPool", "max", "'max'"), ("pool", "MaxPool", MaxPool(2), None),
                                    ("activation", "ReLU", "relu", "'relu'"), ("activation", "ReLU", Sigmoid(), None)):
        with refused(TypeError, f"LeNet: {name} … class … {example} … {got or repr(bad)}…"):
            LeNet(**{name: bad})
    for filters in ([1, 2, 3], 5, (1, 2, 3, 4)):
        with refused(ValueError, f"inception: filters … (a, (b, c), (d, e), f) … {filters!r}"):
            inception(3, filters)
    with refused(TypeError, "inception: e … whole number … 0.5"):
        inception(3, (1, (2, 3), (4, 0.5), 6))


def test_the_seed_decides_the_weights():
    a, b, c = (LeNet(rng=seed).params[0] for seed in (0, 0, 1))
    assert (a == b).all() and (a != c).any()


@pytest.mark.parametrize("shape, channels, hint", [
    ((5, 8, 9, 3), 3, " … x.transpose(0, 3, 1, 2)"),
    ((5, 8, 9), 1, " … x[:, None]"),
    ((3, 8, 9), 3, " … x[None]"),
    ((1, 8, 9), 1, " … x[None]"),
    ((5, 3, 8, 9), 1, ""), ((5, 8, 9, 7), 3, ""), ((5, 8, 9), 3, "")])
def test_images_whose_axes_are_not_ours(shape, channels, hint):
    with refused(ValueError, f"Convolution: x … (N, {channels}, H, W) … {shape}{hint}"):
        Convolution.init(channels, 2, 3, rng=0).forward(np.zeros(shape, np.float32))


def test_images_as_wide_as_they_have_channels():
    assert Convolution.init(3, 2, 3, rng=0).forward(np.zeros((5, 3, 8, 3), np.float32)).shape == (5, 2, 6, 1)


def test_lenet_reads_digits():
    (x, t), (x_test, t_test) = load_digits()
    trainer = Trainer(LeNet((1, 8, 8), rng=0), Adam(lr=2e-3))
    trainer.fit(x, t, epochs=4, rng=0, progress=False)
    assert trainer.evaluate(x_test, t_test)["accuracy"] > 0.9


def test_random_shifts_move_each_image_as_a_whole():
    rng = np.random.default_rng(0)
    images = rng.random((50, 2, 5, 6))
    moved = random_shifts(images, most=2, rng=1)
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    places = set()
    for image, result in zip(padded, moved, strict=True):
        found = [(i, j) for i in range(5) for j in range(5) if (image[:, i:i + 5, j:j + 6] == result).all()]
        assert len(found) == 1
        places.update(found)
    assert len(places) > 15
    np.testing.assert_array_equal(random_shifts(images, most=0), images)


def test_the_shape_of_an_image_is_followed_through_layers():
    from chainrule.models.images.features import image_after
    layers = [Convolution.init(3, 8, 5), Sigmoid(), MaxPool(2)]
    assert image_after(layers, (3, 28, 28)) == (8, 12, 12)
