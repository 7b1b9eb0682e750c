"""Make models/data/NAME.safetensors again:

    python -m tests.make_pretrained NAME ...

lenet-mnist needs the test files of MNIST, which are fetched. Each takes a few minutes at most.
"""
import contextlib
import io
import sys
import tempfile
from math import log2
from pathlib import Path

import numpy as np

from chainrule.common.files import write_arrays
from chainrule.models import context_windows, pretrained, saving
from chainrule.models.command import main as chainrule
from chainrule.optimizers import AdaGrad, AdamW, clip_gradients, cosine_decay, warmup
from chainrule.training import Trainer


def lenet(data, *options):
    """By ``chainrule train``, which says the accuracy on its last line."""
    def make(folder):
        command = ["train", "lenet", "--data", data, "--seed", "0", *options]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert chainrule([*command, "--out", str(folder)]) == 0
        score = out.getvalue().splitlines()[-1].partition("  (")[0]
        path = folder / f"lenet-{data}" / "model.safetensors"
        return path, {"command": f"chainrule {' '.join(command)}", "score": score}
    return make


def skipgram(folder):
    words, vocabulary = pretrained.python_words()
    contexts, middle = context_windows(vocabulary.encode(words), 5)
    model = pretrained.BUILD["skipgram-python"]()
    trainer = Trainer(model, AdaGrad(lr=0.1), metrics=())
    history = trainer.fit(middle, contexts, epochs=8, batch_size=128, rng=0, progress=False)
    model.save(folder / "model.safetensors")
    loss, nothing = history["loss"][-1], 6 * np.log(2)
    return folder / "model.safetensors", {"score": f"loss {loss:.3f}, {nothing:.3f} knowing nothing"}


def transformer(folder, steps=2_000):
    model = pretrained.BUILD["transformer-python"]()
    ids = model.tokenizer.encode(pretrained.load_python_docs(bundled=True))
    train, held_out = np.split(ids, [len(ids) * 9 // 10])
    lr = warmup(cosine_decay(0.006, steps * 19 // 20), steps // 20)
    optimizer = AdamW(lr=lr, weight_decay=0.1)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        starts = rng.integers(0, len(train) - model.length, 32)
        at = starts[:, None] + np.arange(model.length + 1)
        model.forward(train[at[:, :-1]], train[at[:, 1:]])
        model.backward()
        clip_gradients(model.grads, 1.0)
        optimizer.update(model.params, model.grads)
    model.save(folder / "model.safetensors")
    bits = log2(model.perplexity(held_out))
    return folder / "model.safetensors", {"score": f"{bits:.3f} bits per character of the last tenth"}


MAKE = {
    "lenet-digits": (lenet("digits"), "load_digits()"),
    "lenet-mnist": (lenet("mnist-test", "--epochs", "30", "--shift", "2"),
                    "the first 8,000 of load_mnist('test')"),
    "skipgram-python": (skipgram, "load_python_docs(bundled=True)"),
    "transformer-python": (transformer, "the first nine tenths of load_python_docs(bundled=True)"),
}


def main(names):
    for name in names:
        make, data = MAKE[name]
        with tempfile.TemporaryDirectory() as folder:
            path, note = make(Path(folder))
            arrays, texts = saving.read(path, "make_pretrained")
        command = f"python -m tests.make_pretrained {name}"
        texts["trained"] = {"data": data, "command": command, "seed": 0, **note}
        made = pretrained.FOLDER / f"{name}.safetensors"
        write_arrays(made, arrays, texts)
        print(made, made.stat().st_size, texts["trained"])


if __name__ == "__main__":
    main(sys.argv[1:] or MAKE)
