"""Every figure in a chapter's text is one that a cell shows or sets, so that a text cannot drift from its numbers.

A figure is a number of two digits or more, a decimal or a percentage in the prose, outside formulas, code, tables, exercises and
references; the cell stands in the same section, the one before or the one after. Where a figure is a premise, or follows from
what is shown by a small calculation, ``GIVEN`` has the calculation and says why.
"""
import base64
import io
import re
import runpy

import nbformat
import numpy as np
import pytest
from matplotlib.image import imread

from chainrule.common.layer import walk
from chainrule.datasets import load_digits
from chainrule.layers import BatchNorm
from chainrule.models import ResNet
from tests.notebooks import make_index
from tests.notebooks.test_notebooks import CHAPTERS, FOLDER, code_cells, shown

ROOT = FOLDER.parent
BATCH_NORMS = sum(layer.gamma.size + layer.beta.size for layer in walk(ResNet(18, (3, 32, 32), 10, rng=0))
                  if isinstance(layer, BatchNorm))

# chapter: {figure: (its value, where that comes from)}
GIVEN = {
    "02_computation_graphs": {"10": (2 * 5, "the product of the two inputs"),
                              "99%": (1 - 1 / 100, "of 100 samples' blocks, only those on the diagonal are not zero")},
    "04_universal_approximation": {"1,000": (1001 - 1, "samples, all but the first of 1001"),
                                   "784": (28 * 28, "pixels of an image of MNIST"),
                                   "0.29": (12**-0.5, "the deviation of a number spread evenly over 0 to 1, as the teeth are")},
    "05_convolution": {"180": (360 / 2, "degrees of a half turn"), "40": (40, "a bound: the cell has 32 lines")},
    "06_cnn_architectures": {"1,000": (1000, "classes of ImageNet"),
                             "1.2": (1.2, "Krizhevsky et al. (2012): millions of training images"),
                             "62": (62_378_344 / 1e6, "AlexNet's parameters, as printed"),
                             "0.9": (965_572_864 / 1_135_256_096, "multiply-adds of NiN and of AlexNet, as printed"),
                             "1.6": (1_814_073_344 / 1_135_256_096, "of ResNet-18 and of AlexNet, as printed"),
                             "9,600": (BATCH_NORMS, "parameters of ResNet-18's batch norms"),
                             "360": (len(load_digits()[1][0]), "test digits")},
    "07_word_vectors": {"72": (9 * 8, "ordered pairs of nine nouns"), "90": (10 * 9, "of ten"),
                        "0.59": (0.5**0.75, "half to the power ¾"), "0.5": (0.5, "a half"),
                        "692,000": (692_000, "Mikolov et al., Distributed representations (2013): the vocabulary"),
                        "19,544": (8869 + 10675,
                                   "Mikolov et al., Efficient estimation (2013): semantic and syntactic questions"),
                        "600": (600, "the same, table 2: the length of the vectors"),
                        "24": (24, "the same, table 2: millions of words"),
                        "783": (783, "the same, table 2: millions of words")},
    "08_recurrent_networks": {"2,573": (2573, "V, as printed in section 8.1"),
                              "1.27": (1 + (1 - 0.674**2) / 2, "the line before it"),
                              "28": (140 // 5, "places for five words each")},
    "09_lstm_and_gru": {"20": (20, "places to read at, as tried and not chosen"),
                        "155": (155, "tests/test_figures_language.py, three seeds"),
                        "158": (158, "tests/test_figures_language.py")},
    "10_seq2seq_and_attention": {"75": (75, "a number in an example"), "25": (25, "epochs in tests/test_figures.py"),
                                 "100.0%": (100, "tests/test_figures.py, dates"), "99.9%": (99.9, "the same, addition")},
    "11_transformer": {"100": (100, "read off the right picture")},
    "15_data_and_the_frameworks": {"200": (200, "keras.metrics.AUC: num_thresholds=200 by default")},
}

OUT = re.compile(r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|<details>.*?</details>|\]\([^)]*\)|^#[^\n]*$|^\|[^\n]*$|^> [^\n]*$"
                 r"|[Cc]hapters? \d+(?:(?:, | and | to )\d+)*|[Ss]ections? \d+\.\d+( (?:and|to) \d+\.\d+)?|[Ee]xercises? "
                 r"\d+|\b(?:1[89]|20)\d\d\b|\d+ × \d+(?: × \d+)*"
                 r"|v?\d+\.\d+\.\d+", re.S | re.M)
FIGURE = re.compile(r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d+\.\d+|\d+)(?![\w,]*\d)(\s?%)?")
SHOWN = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def sections(chapter):
    """(prose, code cells) of each section, up to the exercises."""
    found = [([], [])]
    for cell in chapter.cells[1:]:
        if cell.cell_type == "code":
            found[-1][1].append(cell)
            continue
        for part in re.split(r"^(?=## )", cell.source, flags=re.M):
            if part.startswith(("## Exercises", "## In five lines", "## What to read next")):
                return found
            if part.startswith("## "):
                found.append(([], []))
            found[-1][0].append(re.sub(r"!\[[^\n]*", "", part))
    return found


def prose(chapter):
    return "\n\n".join(text for texts, _ in sections(chapter) for text in texts)


def figures(text):
    for number, percent in FIGURE.findall(OUT.sub(" ", text)):
        if percent or "." in number or len(number) > 1:
            yield number + percent.strip()


def known(cells):
    """All numbers that these code cells show, or that stand in their code."""
    texts = [text for cell in cells for _, text in (*shown(cell), ("", cell.source))]
    return {float(number.replace(",", "")) for text in texts for number in SHOWN.findall(re.sub(r"(?<=\d)_(?=\d)", "", text))}


def fits(figure, numbers):
    """Whether one of the numbers, rounded as the figure is, is the figure; a percentage may be shown as a share."""
    text = figure.rstrip("%").replace(",", "")
    digits, value = len(text.partition(".")[2]), float(text)
    half = 500 if text.endswith("000") and len(text) > 4 else 0.5 * 10.0**-digits + 1e-9        # 74,000: in thousands
    scales = (1, 100) if figure.endswith("%") else (1,)
    return any(abs(scale * n - value) <= half for n in numbers for scale in scales)


def loose(path):
    """Figures that neither a cell of their section, of the one before and of the one after has, nor GIVEN."""
    parts = sections(nbformat.read(path, as_version=4))
    near = [known([cell for _, cells in parts[max(i - 1, 0):i + 2] for cell in cells]) for i in range(len(parts))]
    return [figure for (texts, _), numbers in zip(parts, near) for text in texts for figure in figures(text)
            if not fits(figure, numbers) and figure not in GIVEN.get(path.stem, {})]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_figure_of_a_text_is_shown_by_a_cell(path):
    assert not loose(path)


@pytest.mark.parametrize("path", [path for path in CHAPTERS if path.stem in GIVEN], ids=lambda path: path.stem)
def test_what_is_given_is_right_and_still_in_the_text(path):
    text = prose(nbformat.read(path, as_version=4))
    assert not set(GIVEN[path.stem]) - set(figures(text))
    assert not [figure for figure, (value, why) in GIVEN[path.stem].items() if not (fits(figure, {value}) and why)]


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")
FILE = re.compile(r"`((?:common|layers|models|optimizers|datasets|tests|docs|notebooks)/[\w./]*\w)`")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_links_and_files_that_a_chapter_names_exist(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    there = {name for name in LINK.findall(text) if not name.startswith(("http", "attachment:"))}
    assert not [name for name in there if not (path.parent / name).exists()]
    assert not [name for name in FILE.findall(text) if not (path.parents[1] / name).exists()]


@pytest.mark.parametrize("path", [path for path in CHAPTERS if path.stem[:2] != "00"], ids=lambda path: path.stem)
def test_a_chapter_opens_and_ends_as_all_do(path):
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    whole = "\n".join(texts)
    for opening in ("[Index](00_index.ipynb)", "**Afterwards you can**", "**You need**", "Running:"):
        assert opening in texts[0]
    lines = re.search(r"^## In five lines\n\n((?:- .*\n?)+)", whole, re.M)
    assert lines and len(lines[1].strip().split("\n")) == 5
    assert texts[-1].rstrip().split("\n")[-1].startswith("[Index](00_index.ipynb)")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_pictures_arrive_everywhere(path):
    """A PNG beside each SVG, and every PNG opaque and light at its corners, so that dark letters can be read on any page."""
    for cell in code_cells(nbformat.read(path, as_version=4)):
        for output in cell.outputs:
            kinds = output.get("data", {})
            assert "image/svg+xml" not in kinds or "image/png" in kinds
            if "image/png" in kinds:
                image = imread(io.BytesIO(base64.b64decode(kinds["image/png"])))
                assert image[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 0.9


def test_the_index_names_every_chapter():
    index = FOLDER / "00_index.ipynb"
    text = "\n".join(cell.source for cell in nbformat.read(index, as_version=4).cells)
    assert [name for name in LINK.findall(text) if name[:2].isdigit()] == [path.name for path in CHAPTERS if path != index]


def alike(one, other):
    """Whether two PNG files show the same, but for how a version of Pillow chooses its 64 colours."""
    one, other = (imread(io.BytesIO(png))[..., :3] for png in (one, other))
    return one.shape == other.shape and np.abs(one - other).mean() < 0.004


def attached(cell):
    return [base64.b64decode(kinds["image/png"]) for kinds in cell.get("attachments", {}).values()]


def test_the_index_shows_the_chapters_pictures_and_says_what_is_seen():
    committed = nbformat.read(FOLDER / "00_index.ipynb", as_version=4).cells
    for mine, made in zip(committed, make_index.index().cells, strict=True):
        assert mine.source == made.source
        for one, other in zip(attached(mine), attached(made), strict=True):
            assert alike(one, other), f"make_index.py has another picture for {made.source}"
    seen = [said for _, said, _ in make_index.CHAPTERS.values() if said]
    assert len(set(seen)) == len(seen) == 14 and min(map(len, seen)) > 100
    assert not any(re.search(r'[]["|$]', said) for said in seen)              # a table, an attribute


def test_the_readme_shows_the_same():
    pictures = runpy.run_path(str(ROOT / "docs" / "pictures.py"), run_name="pictures")
    assert pictures["table"]() in (ROOT / "README.md").read_text(encoding="utf-8")
    for path, _, picture, _ in pictures["chapters"]():
        if picture:
            file = io.BytesIO()
            pictures["small"](picture).save(file, "png")
            assert alike(pictures["place"](path).read_bytes(), file.getvalue()), path


def test_a_figure_that_no_cell_shows_is_found():
    assert list(figures("It is 97.0% of 1,192 (section 3.4), or $12$, `13`, 3 × 28 and 7 at 0.25.")) == ["97.0%", "1,192",
                                                                                                         "0.25"]
    assert fits("97%", {0.9699}) and fits("1,192", {1192.0}) and fits("0.25", {0.2512})
    assert not fits("97.1%", {97.0}) and not fits("1,193", {1192.0})
