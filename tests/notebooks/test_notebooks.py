"""Every chapter runs in a fresh kernel, without a warning, and what it shows is what the committed file shows.

``python tests/notebooks/test_notebooks.py notebooks/01_*.ipynb`` runs chapters anew and writes their outputs into the files;
with ``--tidy`` before the names it runs nothing and only puts ids, counts and metadata in order.
A long chapter may shorten itself where ``os.environ`` holds ``CHAINRULE_FAST``, as here; its texts are then not compared.
"""
import os
import re
import sys
import tempfile
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

FOLDER = Path(__file__).parents[2] / "notebooks"
CHAPTERS = sorted(FOLDER.glob("*.ipynb"))

# Runs in the kernel before the first cell: warnings become errors, and each figure shown is asked for its labels.
BEFORE = '''
def _watch():
    import warnings
    from matplotlib import pyplot                # where matplotlib has never run, it says that it builds its font cache
    from matplotlib.backend_bases import FigureCanvasBase

    warnings.simplefilter("error")
    theirs = "IPython|asyncio|ipykernel|jupyter_client|matplotlib|matplotlib_inline|pyparsing|tornado|traitlets|zmq"
    warnings.filterwarnings("ignore", module=rf"({theirs})\\b")           # among themselves, not about the chapter
    warnings.filterwarnings("ignore", message="IProgress not found")      # tqdm, where ipywidgets is not installed
    missing, show = [], FigureCanvasBase.print_figure

    def print_figure(canvas, *args, **kwargs):
        figure = canvas.figure
        for i, ax in enumerate(figure.axes):
            x, y = ax.get_xlabel() or figure.get_supxlabel(), ax.get_ylabel() or figure.get_supylabel()
            if ax.axison and not (x and y) and not hasattr(ax, "_colorbar"):
                missing.append(f"axes {i} of a figure has x label {x!r}, y label {y!r}, title {ax.get_title()!r}")
        return show(canvas, *args, **kwargs)

    FigureCanvasBase.print_figure = print_figure
    return missing

_missing_labels = _watch()
'''
AFTER = "assert not _missing_labels, _missing_labels"

# What JupyterLab writes when a kernel starts: with it in the file, a chapter that is only opened does not count as changed.
METADATA = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"codemirror_mode": {"name": "ipython", "version": 3}, "file_extension": ".py",
                              "mimetype": "text/x-python", "name": "python", "nbconvert_exporter": "python",
                              "pygments_lexer": "ipython3", "version": "3.11.7"}}
FOLDED = {"jupyter": {"source_hidden": True}}                    # an answer's cell, which JupyterLab shows folded


def execute(path, folder, timeout=300, **env):
    """The chapter with the outputs of a fresh run, in the interpreter that runs this, whatever kernels are installed."""
    chapter = nbformat.read(path, as_version=4)
    before, after = (nbformat.v4.new_code_cell(source) for source in (BEFORE, AFTER))
    chapter.cells = [before, *chapter.cells, after]
    client = NotebookClient(chapter, kernel_name="python3", timeout=timeout, record_timing=False, coalesce_streams=True,
                            resources={"metadata": {"path": str(folder)}})
    client.create_kernel_manager().kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    client.execute(env={**os.environ, "PYTHONWARNINGS": "", "IPYTHONDIR": str(folder), **env})
    chapter.cells = chapter.cells[1:-1]
    return chapter


def code_cells(chapter):
    return [cell for cell in chapter.cells if cell.cell_type == "code"]


def shown(cell):
    """What a cell shows: a (kind, text) for each output, a picture's text being empty."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.name, output.text
        elif output.output_type == "error":
            yield "error", output.evalue
        else:
            picture = any(kind.startswith("image/") for kind in output.data)
            yield " ".join(sorted(output.data)), "" if picture else output.data.get("text/plain", "")


NUMBER = re.compile(r"[-+]?(?:\d+\.\d*(?:e[-+]?\d+)?|\d+e[-+]?\d+)")


def alike(text, other):
    """Whether two texts say the same: words and whole numbers alike, other numbers to two digits: machines round differently."""
    words, numbers = zip(*(("".join(NUMBER.sub("#", t).split()), NUMBER.findall(t)) for t in (text, other)))
    return words[0] == words[1] and all(float(a) == pytest.approx(float(b), rel=0.02, abs=1e-3) for a, b in zip(*numbers))


def test_numbers_are_compared_to_two_digits():
    assert alike("loss  0.0944\n(300, 3) [-1.5e-3 nan]", "loss 0.0941 (300, 3) [-1.51e-03 nan]")
    assert not alike("accuracy 97.0%", "accuracy 51.7%")
    assert not alike("(300, 3)", "(301, 3)")
    assert not alike("agrees: True", "agrees: False")
    assert not alike("0.1 0.2", "0.1")


def test_there_are_chapters():
    assert CHAPTERS


chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


@chapters
def test_a_fresh_run_shows_what_is_committed(path, tmp_path):
    try:
        chapter = execute(path, tmp_path, CHAINRULE_FAST="1")
    except CellExecutionError as error:
        pytest.fail(re.sub(r"\x1b\[[\d;]*m", "", str(error)), pytrace=False)
    chapter = tidy(chapter)
    shortened = any("CHAINRULE_FAST" in cell.source for cell in code_cells(chapter))
    for fresh, committed in zip(code_cells(chapter), code_cells(nbformat.read(path, as_version=4))):
        now, then = list(shown(fresh)), list(shown(committed))
        wrong = [text for kind, text in now if kind in ("stderr", "error")]
        assert not wrong, f"{wrong[0]}\nin the cell:\n{fresh.source}"
        assert [kind for kind, _ in now] == [kind for kind, _ in then], f"run {path.name} again; the cell:\n{fresh.source}"
        for (_, text), (_, before) in zip(now, then):
            same = shortened and "check_gradients(" not in fresh.source or alike(text, before)
            same &= "False" in before or "False" not in text              # what was true is true in short, too
            assert same, f"now:\n{text}\ncommitted:\n{before}\nin the cell:\n{fresh.source}"


@chapters
def test_the_committed_file_is_clean(path):
    chapter = nbformat.read(path, as_version=4)
    nbformat.validate(chapter)
    assert [cell.execution_count for cell in code_cells(chapter)] == list(range(1, len(code_cells(chapter)) + 1))
    assert chapter.metadata == METADATA
    assert all(cell.metadata in ({}, FOLDED) for cell in chapter.cells)
    assert not [line for cell in code_cells(chapter) for line in cell.source.splitlines() if len(line) > 100]
    kinds = {kind for cell in code_cells(chapter) for kind, _ in shown(cell)}
    assert not [kind for kind in kinds if kind in ("error", "stderr") or "widget" in kind]
    texts = [cell.source for cell in chapter.cells] + [text for cell in code_cells(chapter) for _, text in shown(cell)]
    assert not re.findall(r"(?<![\w.])/(?:home|root|tmp|usr|opt|mnt|work|Users)/\S*|\b[A-Z]:\\\\?Users\S*", "\n".join(texts))


def bar(output):
    """Whether an output is a progress bar, as text or as a widget."""
    return (output.get("name") == "stderr" and re.search(r"\d+%\|.*it/s|s/it|\d+/\d+ \[", output.text) is not None
            or "application/vnd.jupyter.widget-view+json" in output.get("data", ()))


def tidy(chapter):
    """Ids, counts and metadata without what differs from machine to machine; progress bars go."""
    chapter.metadata = nbformat.from_dict(METADATA)
    chapter.nbformat, chapter.nbformat_minor = 4, 5
    for i, cell in enumerate(chapter.cells, 1):
        folded = bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
        cell.id, cell.metadata = f"cell-{i:02d}", nbformat.from_dict(FOLDED if folded else {})
    for count, cell in enumerate(code_cells(chapter), 1):
        cell.execution_count = count
        cell.outputs = [output for output in cell.outputs if not bar(output)]
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    return chapter


def slim(output):
    """A picture of a run with at most 256 colours: a plot looks the same, in a third of the bytes."""
    if "image/png" in output.get("data", ()):
        picture = Image.open(BytesIO(b64decode(output.data["image/png"]))).convert("RGB")
        small = BytesIO()
        picture.quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        output.data["image/png"] = b64encode(small.getvalue()).decode() + "\n"


def write(path, run=True):
    """Run a chapter and keep its outputs."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chapter = execute(path, folder, timeout=3600) if run else nbformat.read(path, as_version=4)      # seconds a cell
    for cell in code_cells(chapter) if run else ():
        for output in cell.outputs:
            slim(output)
    Path(path).write_text(nbformat.writes(tidy(chapter)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    names = [name for name in sys.argv[1:] if name != "--tidy"]
    for path in names or CHAPTERS:
        write(path, run="--tidy" not in sys.argv)
