"""The site: its text is the docstrings, the chapters and the pages of this folder.

    python -m pip install -e ".[docs]"
    python -m sphinx -W --keep-going docs docs/_build/html

Chapters are shown with the outputs that they hold; nothing is run. Nothing is asked of another
host.
"""
import base64
import importlib
import importlib.metadata
import inspect
import json
import os
import re
import shutil
import sys
from pathlib import Path

from sphinx.util.inspect import stringify_signature

import chainrule
from chainrule.common import Layer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
in_browser = importlib.import_module("in_browser")
ROOMS = {
    "layers": "Layers and losses", "models": "Models", "optimizers": "Optimizers",
    "training": "Training", "gradcheck": "The gradient checker", "datasets": "Data",
    "common": "The contract, functions, metrics", "plotting": "Plots",
}

project, author, copyright = "chainrule", "chainrule's authors", "chainrule's authors, MIT licence"
version = release = chainrule.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.doctest"]
exclude_patterns = ["_build", "jupyter_execute", "chapters/homework_*"]
suppress_warnings = [
    "ref.python",                   # two packages have a Finding each
    "myst.header",                  # a chapter may go from # to ###
]
nb_execution_mode = "off"
nb_render_image_options = {"alt": "a figure that the text around it describes"}
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "bysource"
add_module_names = toc_object_entries = False
highlight_language = "text"

html_theme = "pydata_sphinx_theme"
html_title = "chainrule"
html_static_path = ["_static"]
html_css_files = ["site.css"]
PYTHON = os.environ.get("CHAINRULE_BROWSER")             # a folder with Pyodide: in_browser.py
html_js_files = ["browser.js"] if PYTHON else []
html_show_sourcelink = False
html_copy_source = False
mathjax_path = "mathjax/tex-svg.js"
html_theme_options = {
    # The address of the published project is for its owner to fill in, here and in CITATION.cff
    # and setup.cfg: "github_url": ...
    "navigation_with_keys": True, "show_toc_level": 2, "header_links_before_dropdown": 5,
    "navbar_align": "left", "footer_start": ["copyright"], "footer_end": [],
    "secondary_sidebar_items": ["page-toc"], "show_prev_next": True, "back_to_top_button": False,
}
html_sidebars = {"*": []}


def chapters():
    """Copy the chapters, whatever there are, into the folder that Sphinx reads."""
    to = HERE / "chapters"
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(HERE.parent / "notebooks", to, ignore=shutil.ignore_patterns(
        "__*", ".*", "homework_*"))
    for path in to.rglob("*.ipynb"):
        readable(path)
    names = sorted(path.stem for path in to.glob("*.ipynb"))
    solved = sorted(f"solutions/{path.stem}" for path in to.glob("solutions/*.ipynb"))
    text = "# Chapters\n\nEach is a notebook: `chainrule notebooks` copies them, to run and to " \
           f"change.\n\n{tree(names)}"
    (to / "index.md").write_text(text + ("\n## Solutions\n\n" + tree(solved)) * bool(solved),
                                 encoding="utf-8")


def readable(path):
    """A notebook as Sphinx can read it: attached pictures become files, a link to a notebook that
    is not there becomes its text, and one to a heading is in small letters."""
    book = json.loads(path.read_text(encoding="utf-8"))
    for cell in book["cells"]:
        text = "".join(cell["source"])
        for name, kinds in cell.pop("attachments", {}).items():
            (path.parent / f"{path.stem}_{name}").write_bytes(
                base64.b64decode("".join(next(iter(kinds.values())))))
            text = text.replace(f"attachment:{name}", f"{path.stem}_{name}")
        if cell["cell_type"] == "markdown":
            text = re.sub(r"\[([^]]*)\]\(([^):#]+\.ipynb)(#[^)]*)?\)", lambda m: m[1] if not (
                path.parent / m[2]).exists() else f"[{m[1]}]({m[2]}{(m[3] or '').lower()})", text)
        cell["source"] = text
    path.write_text(json.dumps(book), encoding="utf-8")


def tree(names):
    return "\n".join(["```{toctree}", ":maxdepth: 1", "", *names, "```", ""])


def reference():
    """A page for each package: all its public names."""
    for room, title in ROOMS.items():
        module = importlib.import_module(f"chainrule.{room}")
        lines = [title, "=" * len(title), "", f"``chainrule.{room}``: {first_line(module)}", ""]
        for name in sorted(module.__all__, key=lambda n: (n[0].islower(), n.lower())):
            value = getattr(module, name)
            kind = ("autoclass" if isinstance(value, type) else
                    "autofunction" if callable(value) else "autodata")
            lines += [name, "-" * len(name), "", f".. {kind}:: chainrule.{room}.{name}"]
            lines += ["   :members:", ""] * (kind == "autoclass") or [""]
        (HERE / "reference" / f"{room}.rst").write_text("\n".join(lines), encoding="utf-8")


def first_line(module):
    return " ".join((module.__doc__ or "").split("\n\n")[0].split())


def mathjax():
    """MathJax 3, one file, out of a package of the extra ``docs``: served by ourselves."""
    file, = (f for f in importlib.metadata.files("django-static-mathjax")
             if f.as_posix().endswith("es5/tex-svg.js"))
    (HERE / "_static" / "mathjax").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file.locate(), HERE / "_static" / mathjax_path)


ITEM = re.compile(r"(?:- |[*a-z][\w*]*(?:, [*a-z][\w*]*)*: )")
SPECIAL = re.compile(r"(``.*?``)|[*|`\\]|(?<=\w)_(?=\W|$)")


def docstring(app, what, name, of, options, lines):
    """Docstrings are plain text: an indented formula keeps its columns, a line ``name: what it is``
    is an item of a list, and what reStructuredText would take for marks is escaped."""
    done, listed = [], False
    for block in "\n".join(lines).split("\n\n"):
        if block.lstrip().startswith(">>>"):
            done += [*block.splitlines(), ""]
        elif block.startswith("    ") and not listed:
            done += ["::", "", *block.splitlines(), ""]
        else:
            items = [[]]
            for line in block.splitlines():
                if ITEM.match(line):
                    items.append(["-", line.removeprefix("- ")])
                else:
                    items[-1].append(line.strip())
            for item in items:
                text = SPECIAL.sub(lambda m: m[1] or "\\" + m[0], " ".join(item).strip())
                done += [text, ""]
            listed = bool(items[-1]) and items[-1][0] == "-"
    lines[:] = done


def signature(app, what, name, of, options, shown, returns):
    """The signature of a class is that of its ``__init__``."""
    if what == "class" and isinstance(of, type) and "__init__" in dir(of):
        arguments = list(inspect.signature(of.__init__).parameters.values())[1:]
        if of is not Layer and of.__init__ is Layer.__init__:
            arguments = []
        return stringify_signature(inspect.Signature(arguments), show_annotation=False), None
    return None


def codes():
    """The page of the checker's codes, each report made anew."""
    (HERE / "why_the_checker_says_so.md").write_text(in_browser.mistakes().page(), encoding="utf-8")


def browser():
    """Put Python for the browser beside the pages, and make the form; without it, say so."""
    if PYTHON:
        in_browser.assemble(HERE / "_static" / "python", PYTHON)
    form = in_browser.form() if PYTHON else (
        "<p><em>This copy of the site was built without Python for the browser. "
        "<code>check_gradients</code> does the same on your machine.</em></p>")
    (HERE / "check_my_layer.html").write_text(form, encoding="utf-8")


def setup(app):
    chapters()
    reference()
    codes()
    browser()
    mathjax()
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-process-signature", signature)
