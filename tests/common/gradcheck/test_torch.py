"""PyTorch's layers through the same eyes, where PyTorch is installed."""
import pytest

from chainrule.gradcheck import check_gradients

torch = pytest.importorskip("torch")
X = torch.linspace(-1.3, 1.7, 15).reshape(5, 3)
W, B = torch.linspace(-1, 1, 6).reshape(2, 3) ** 3, torch.ones(2)


class Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w.t() + b

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        return grad @ w, grad.t() @ x, grad.sum(0)


class Mean(Linear):
    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        return grad @ w, grad.t() @ x, grad.mean(0)


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3

    @staticmethod
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        return grad * 2 * x ** 2


class Module(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.w, self.b = torch.nn.Parameter(W.clone()), torch.nn.Parameter(B.clone())

    def forward(self, x):
        return self.function.apply(x, self.w, self.b)


class ByHand(torch.nn.Module):
    def forward(self, x):
        self.y = torch.sigmoid(x)
        return self.y

    def backward(self, grad):
        return grad * self.y


def test_a_function():
    assert check_gradients(Linear, X, W, B, rng=0).checked == ["x", "inputs[1]", "inputs[2]"]
    report = check_gradients(Mean, X, W, B, rng=0)
    assert report.codes == ["divided-by-N"] and report.findings[0].where == "inputs[2]"
    report = check_gradients(Cube, X, rng=0)
    assert report.codes == ["wrong-local-derivative"] and report.findings[0].text == "return grad * 2 * x ** 2"


def test_a_module():
    module = Module(Linear)
    assert check_gradients(module, X, rng=0).checked == ["x", "w", "b"]
    assert module.w.dtype == torch.float32 and module.w.grad is None
    report = check_gradients(Module(Mean), X, rng=0)
    assert report.codes == ["divided-by-N"] and report.findings[0].where == "b"
    assert check_gradients(torch.nn.Linear(3, 2), X, rng=0)


def test_a_module_with_a_backward_by_hand():
    report = check_gradients(ByHand(), X, rng=0)
    assert report.codes[0] in ("missing-local-derivative", "wrong-local-derivative")
    assert report.findings[0].text == "return grad * self.y"
