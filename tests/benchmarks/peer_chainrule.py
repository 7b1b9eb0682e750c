"""chainrule: the three lines of a training step."""
from itertools import cycle

from workloads import register

from chainrule import layers, models, optimizers


def training_step(w, model):
    """The step that is the same for every network."""
    optimizer = getattr(optimizers, w.optimizer)(**w.hyper)
    batches = cycle(w.batches)

    def step():
        x, t = next(batches)
        loss = model.forward(x, t)
        model.backward()
        optimizer.update(model.params, model.grads)
        return loss
    return step


@register("W1", "W2", "W3")
def mlp(w):
    activation = getattr(layers, w.activation)
    stack = []
    for W, b in zip(w.params[::2], w.params[1::2]):
        stack += [layers.Affine(W.copy(), b.copy()), activation()]
    return training_step(w, models.Sequential(*stack[:-1], loss=layers.SoftmaxWithLoss()))


@register("W4", "W5")
def cnn(w):
    params, stack = iter([p.copy() for p in w.params]), []
    for *_, padding, pool in w.convolutions:
        stack += [layers.Convolution(next(params), next(params), padding=padding), layers.ReLU()]
        if pool:
            stack.append(layers.MaxPool(2))
    stack.append(layers.Flatten())
    for W, b in zip(params, params):
        stack += [layers.Affine(W, b), layers.ReLU()]
    return training_step(w, models.Sequential(*stack[:-1], loss=layers.SoftmaxWithLoss()))
