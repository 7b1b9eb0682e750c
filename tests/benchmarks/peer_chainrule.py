"""chainrule: the three lines of a training step."""
from itertools import cycle

from workloads import register

from chainrule import layers, models, optimizers


def training_step(w, model, clip=None):
    """The step that is the same for every network; `clip`: the norm that gradients are clipped to."""
    optimizer = getattr(optimizers, w.optimizer)(**w.hyper)
    batches = cycle(w.batches)

    def step():
        loss = model.forward(*next(batches))
        model.backward()
        if clip:
            optimizers.clip_gradients(model.grads, clip)
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


def started(model, w):
    """The model with the workload's initial parameters."""
    for p, start in zip(model.params, w.params, strict=True):
        p[...] = start
    return model


@register("W6")
def lstm(w):
    model = models.LanguageModel(w.vocabulary, dimension=w.dimension, hidden=w.hidden)
    return training_step(w, started(model, w), w.clip)


@register("W7")
def transformer(w):
    model = models.TransformerLM(w.vocabulary, dimension=w.dimension, heads=w.heads, depth=1, length=w.batches[0][0].shape[1])
    return training_step(w, started(model, w))


@register("W8", "W8s")
def cbow(w):
    """models.CBOW, but for its sampler: the words in question are given."""
    around, asked, labels = models.Input(), models.Input(), models.Input()
    words_in, words_out = (p.copy() for p in w.params)
    mean = layers.Mean(axis=1)(layers.Embedding(words_in)(around))
    scores = layers.EmbeddingDot(words_out)(mean, asked)
    loss = w.asked * layers.SigmoidWithLoss()(scores, labels)
    return training_step(w, models.Graph([around, asked], scores, labels, loss))
