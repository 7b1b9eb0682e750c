"""chainrule in a browser, in Pyodide: what the site's pages run, and nothing asked of another host.

Needs Chromium and a folder with Pyodide and ``run_in_browser.py``, named by CHAINRULE_BROWSER; skipped without.
"""
import base64
import contextlib
import functools
import http.server
import importlib.util
import io
import json
import os
import queue
import re
import shutil
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("CHAINRULE_BROWSER") or "nowhere")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

if not (FOLDER / "run_in_browser.py").exists():
    pytest.skip("CHAINRULE_BROWSER names no folder with run_in_browser.py and Pyodide", allow_module_level=True)
if CHROMIUM is None:
    pytest.skip("there is no Chromium", allow_module_level=True)

PAGE = """<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><script src="_static/browser.js"></script>
<article><h1>x</h1></article>"""


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module                      # its dataclasses look it up
    spec.loader.exec_module(module)
    return module


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Browser:
    """A page in Chromium: ``js`` evaluates, ``python`` runs in the page's worker."""

    def __init__(self, chromium, session, elsewhere):
        self.chromium, self.session, self.elsewhere = chromium, session, elsewhere

    def js(self, text, limit=300):
        answer = self.chromium.ask("Runtime.evaluate", time.monotonic() + limit, self.session, expression=text,
                                   awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def python(self, code, plots=False, limit=300):
        """(kind, value) of all that the code says."""
        said = self.js(f"""new Promise(async (done) => {{ const said = [];
            await SITE.run({json.dumps(code)}, (kind, value) => said.push([kind, value]), {json.dumps(plots)});
            done(said); }})""", limit)
        errors = [value for kind, value in said if kind == "error"]
        assert not errors, errors[0]
        return said


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    runner = load("run_in_browser", FOLDER / "run_in_browser.py")
    site = tmp_path_factory.mktemp("site")
    in_browser = load("in_browser", ROOT / "docs" / "in_browser.py")
    shutil.copytree(ROOT / "docs" / "_static", site / "_static", ignore=shutil.ignore_patterns("python", "mathjax"))
    in_browser.assemble(site / "_static" / "python", FOLDER)
    with zipfile.ZipFile(site / "tests.zip", "w") as archive:
        for path in (ROOT / "tests" / "layers" / "table.py", *sorted((ROOT / "tests/common/gradcheck/faulty").glob("*.py"))):
            archive.write(path, path.relative_to(ROOT))
    (site / "page.html").write_text(PAGE + in_browser.form(), encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    elsewhere = []
    with contextlib.ExitStack() as stack:
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        proxy = stack.enter_context(runner.Server({}, {}, elsewhere.append))
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        chromium = stack.enter_context(runner.Chromium(CHROMIUM, proxy.address, profile, queue.Queue()))
        page = f"http://127.0.0.1:{server.server_port}/page.html"
        session = chromium.open(page, proxy.address, time.monotonic() + 60)
        time.sleep(1)
        yield Browser(chromium, session, elsewhere)


CHECK = """new Promise(async (done) => { const form = document.getElementById("check-my-layer");
    const select = form.querySelector("select");
    select.value = %s; select.onchange(); await form.querySelector(".check").onclick();
    done(form.querySelector(".output").innerText); })"""


def test_check_my_layer_gives_the_first_verdict_soon(browser):
    begun = time.monotonic()
    verdict = browser.js(CHECK % json.dumps("an affine layer with a mistake"))
    assert "Affine: 1 finding" in verdict and "divided-by-N" in verdict
    assert time.monotonic() - begun < 60             # 15 s on two idle cores
    assert "gradients right" in browser.js(CHECK % json.dumps("the same without"))


def test_every_example_of_the_page_is_named(browser):
    for code in ("wrong-sign", "repeated-index", "missing-label-subtraction", "lost-branch", "accumulates"):
        assert code in browser.js(CHECK % json.dumps(f"mistake: {code}"))


def test_an_endless_loop_is_stopped_and_the_next_run_is_fresh(browser):
    said = browser.js("""new Promise(async (done) => { const said = [];
        setTimeout(() => SITE.stop(), 500);
        await SITE.run("while True: pass", (kind, value) => said.push(value)); done(said); })""")
    assert said[-1] == "stopped"
    assert ["stdout", "42\n"] in browser.python("6 * 7")


TRAINING = """
import numpy as np, warnings
warnings.simplefilter("error")
from chainrule.datasets import load_digits
from chainrule.models import MLP
from chainrule.optimizers import Adam
from chainrule.training import Trainer
(x, t), test = load_digits()
model = MLP([64, 32, 10], rng=0)
history = Trainer(model, Adam(1e-2)).fit(x, t, epochs=3, validation_data=test, rng=0)
print(history["val_accuracy"][-1])
history.plot();
"""


def test_a_training_and_its_plot(browser):
    said = browser.python(TRAINING, plots=True)
    printed = "".join(value for kind, value in said if kind == "stdout")
    assert float(re.search(r"^0\.\d+$", printed, re.M)[0]) > 0.9
    png, = (base64.b64decode(value) for kind, value in said if kind == "png")
    from matplotlib.image import imread
    assert np.ptp(imread(io.BytesIO(png))) > 0.5


def test_saving_says_what_is_missing(browser):
    said = browser.python("from chainrule.layers import Affine\nfrom chainrule.models import Sequential\ntry:\n"
                          "    Sequential(Affine.init(2, 3)).save('a.safetensors')\nexcept ImportError as e:\n    print(e)")
    assert "safetensors" in said[1][1] and "pip install safetensors" in said[1][1]


TABLE = """
import sys, zipfile
from js import XMLHttpRequest
request = XMLHttpRequest.new()
request.open("GET", "../tests.zip", False)
request.responseType = "arraybuffer"
request.send()
with open("tests.zip", "wb") as file:
    file.write(request.response.to_py())
zipfile.ZipFile("tests.zip").extractall()
sys.path.insert(0, ".")
"""


def test_the_table_of_the_layers_is_right_there(browser):
    said = browser.python(TABLE + """
import numpy as np
from chainrule.gradcheck import check_gradients
from tests.layers.table import TABLE
wrong = []
for name, cases in TABLE.items():
    for case in cases[:1]:
        layer, inputs = case.make(np.float64), case.inputs(np.random.default_rng(3), np.float64)
        report = check_gradients(layer, *inputs, rng=0)
        if not report:
            wrong.append(str(report))
print(len(TABLE), wrong)
""", limit=600)
    count, wrong = said[-2][1].split(maxsplit=1)
    assert int(count) > 50 and wrong == "[]\n", wrong


def test_planted_mistakes_are_named_there(browser):
    said = browser.python(TABLE + """
from importlib import import_module
from chainrule.gradcheck import check_gradients
missed, count = [], 0
for module in ("dense", "activations", "losses"):
    for codes, name, make in import_module(f"tests.common.gradcheck.faulty.{module}").CASES[::6]:
        layer, inputs = make()
        report, count = check_gradients(layer, *inputs, rng=0), count + 1
        if not (report.ok if codes == () else {codes} == {report.codes[0]} if isinstance(codes, str)
                else set(codes) <= set(report.codes)):
            missed.append((name, codes, report.codes))
print(count, missed)
""", limit=600)
    count, missed = said[-2][1].split(maxsplit=1)
    assert int(count) > 30 and missed == "[]\n", missed


@pytest.mark.slow
@pytest.mark.parametrize("number", ["01", "02", "03", "04", "05", "06", "12"])
def test_a_chapter_runs_there(number, browser):
    path, = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    browser.js("SITE.stop()")                       # a session of its own
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            if "scipy" in "".join(cell["source"]) and not list(FOLDER.glob("pyodide/scipy*")):
                break                               # as a reader of this site would have to
            browser.python("".join(cell["source"]), plots=True, limit=900)


def test_nothing_was_asked_of_another_host(browser):
    """But for what Chromium asks its maker by itself."""
    assert not [request for request in browser.elsewhere if "google" not in str(request)]
