"""Python in the browser: what is served beside the pages, and the form of "Check my layer".

CHAINRULE_BROWSER names a folder with the files of npm's ``pyodide``, the wheels of its lock file
and, in ``pure/``, further wheels (tqdm); they may lie in its folder ``pyodide``, too.
"""
import importlib.util
import json
import shutil
import zipfile
from pathlib import Path

from chainrule.models.command.grade import packages

HERE = Path(__file__).parent


def assemble(to, folder):
    """Copy Pyodide into the folder ``to``, and chainrule as an archive."""
    folder = Path(folder)
    folder = folder / "pyodide" if (folder / "pyodide").is_dir() else folder
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    wheels = sorted(folder.glob("pure/*.whl"))
    for file in (*folder.iterdir(), *wheels):
        if file.is_file() and file.suffix != ".mjs":
            shutil.copyfile(file, to / file.name)
    names = json.dumps([wheel.name for wheel in wheels])
    (to / "wheels.json").write_text(names, encoding="utf-8")
    with zipfile.ZipFile(to / "chainrule.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for package, inside in packages("chainrule"):
            data = inside.glob("data/*") if package == "chainrule.datasets" else ()
            for file in sorted((*inside.glob("*.py"), *data)):
                name = file.relative_to(inside).as_posix()
                archive.write(file, f"{package.replace('.', '/')}/{name}")


def mistakes():
    spec = importlib.util.spec_from_file_location("mistakes", HERE / "mistakes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(mistake, right=False):
    """A layer with a mistake, or without it, and the lines that ask the checker about it."""
    source = mistake.source if right else mistake.source.replace(mistake.right, mistake.wrong)
    name = source.split("class ")[1].split(":")[0]
    params = [f"rng.normal(size={p.shape})" for p in mistake.params]
    inputs = [repr(x).replace("array", "np.array") if x.dtype.kind == "i" else
              f"rng.normal(size={x.shape})" for x in mistake.inputs]
    call = ", ".join([f"{name}({', '.join(params)})", *inputs])
    return ("import numpy as np\nfrom chainrule.gradcheck import check_gradients\n\n"
            f"{source}\n\nrng = np.random.default_rng(0)\ncheck_gradients({call}, rng=0)\n")


def examples():
    """What the text area can start with."""
    table = {m.code: m for m in mistakes().MISTAKES if m.code not in ("kink", "uninformative")}
    first = table["divided-by-N"]
    start = {"an affine layer with a mistake": text(first), "the same without": text(first, True)}
    return start | {f"mistake: {code}": text(mistake) for code, mistake in table.items()}


def form():
    """The form, as HTML."""
    template = (HERE / "_templates" / "check_my_layer.html").read_text(encoding="utf-8")
    return template.replace("EXAMPLES", json.dumps(examples()).replace("<", "\\u003c"))
