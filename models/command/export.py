"""``chainrule export``."""
import re
from pathlib import Path

import numpy as np

from . import runs
from .arguments import Parser, known, table

FORMATS = {  # name: what it is, how its files end
    "onnx": ("an ONNX file, which onnxruntime and others run without chainrule", [".onnx"]),
    "torch": ("the weights in PyTorch's names and layouts, a safetensors file",
              [".safetensors"]),
    "source": ("PyTorch code to read and change, with its weights", [".py", ".safetensors"]),
}
KEPT = """
what each format keeps:
  onnx    what predict computes: weights, running statistics, options; a batch of any size
  torch   weights and running statistics; no options, they are those of the module that loads it
  source  all of these: a class, its weights, and a function load() that puts them together
and what is lost in all of them:
  the optimizer and where the training stood, the loss and the penalty, random generators, the
  state that recurrent layers carry on, what is frozen. A layer of your own comes along where
  chainrule.models.export.register_exporter knows how it is written; elsewhere a sentence names it.
"""


def parser():
    formats = table({name: what for name, (what, _) in FORMATS.items()})
    result = Parser(
        "chainrule export", "Write a run's model as a file for other libraries.",
        f"formats:\n{formats}{KEPT}\nexample:\n  chainrule export runs/lenet-digits --to onnx\n")
    result.add("run", "its folder, such as runs/mlp-digits", metavar="RUN")
    result.add("--to", " or ".join(FORMATS), kind=known("format", FORMATS), metavar="FORMAT",
               required=True)
    result.add("--out", "where the files go (default: RUN)", metavar="FOLDER")
    return result


def main(options):
    from safetensors.numpy import save

    from ...common.files import naming, write_whole
    from ..export import to_source, to_torch_state
    run = Path(options.run)
    model, _ = runs.trained(run)
    # importable, and not the run's own weights
    stem = re.sub(r"(?i)\W+|^(?=\d|(model|checkpoint)$)", "_", run.resolve().name)
    paths = [Path(options.out or run) / f"{stem}{end}" for end in FORMATS[options.to][1]]
    image = np.zeros((1, 1, 1, 1))
    if options.to == "onnx":
        model.to_onnx(paths[0], image)
    elif options.to == "source":
        to_source(model, paths[0], image)
    else:
        with naming("to_torch_state", paths[0]):
            write_whole(paths[0], save(to_torch_state(model)))
    print(*paths, sep="\n")
