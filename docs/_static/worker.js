// Python in a worker of its own, so that an endless loop stops nothing but itself. Told {id, code, plots},
// it answers {id, kind, value}: stdout, html, png, error, done.
importScripts("python/pyodide.js");

const DRIVER = `
import ast, base64, io, linecache, logging, re, sys, traceback

class Session:
    def __init__(self):
        self.names, self.count = {"__name__": "__main__"}, 0

    def run(self, code, say):
        self.count += 1
        path = f"cell_{self.count}.py"
        with open(path, "w") as file:                    # a file, so that the checker can read the lines
            file.write(code)
        linecache.checkcache(path)
        try:
            plain = re.sub(r"^%", "# %", code, flags=re.M)          # a notebook's own commands
            tree = ast.parse(plain, path)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, path, "exec"), self.names)
            if last is not None and not code.rstrip().endswith(";"):
                value = eval(compile(ast.Expression(last.value), path, "eval"), self.names)
                if value is not None:
                    self.show(value, say)
            elif last is not None:
                eval(compile(ast.Expression(last.value), path, "eval"), self.names)
        except BaseException as error:
            trace = error.__traceback__
            while trace and trace.tb_frame.f_code.co_filename != path:
                trace = trace.tb_next
            say("error", "".join(traceback.format_exception(type(error), error, trace)))
        self.pictures(say)
        sys.stdout.flush(), sys.stderr.flush()

    def show(self, value, say):
        html = getattr(value, "_repr_html_", lambda: None)()
        svg = getattr(value, "_repr_svg_", lambda: None)()
        say(*(("html", html or svg) if html or svg else ("stdout", repr(value) + "\\n")))

    def pictures(self, say):
        pyplot = sys.modules.get("matplotlib.pyplot")
        for number in pyplot.get_fignums() if pyplot else ():
            file = io.BytesIO()
            pyplot.figure(number).savefig(file, format="png", bbox_inches="tight")
            say("png", base64.b64encode(file.getvalue()).decode())
        if pyplot:
            pyplot.close("all")

logging.getLogger("matplotlib.font_manager").setLevel("ERROR")        # that it looks for fonts
session = Session()
`;

// Long chapters shorten their trainings where this is set: here is one thread, and that a slow one.
const ENVIRONMENT = { MPLBACKEND: "Agg", HOME: "/home/pyodide", CHAINRULE_FAST: "1" };

let python = null, id = 0, loaded = new Set();

function say(kind, value) {
  postMessage({ id, kind, value });
}

async function load(names) {
  const missing = names.filter((name) => !loaded.has(name));
  if (missing.length) {
    const failed = [];
    await python.loadPackage(missing, { messageCallback: () => {}, errorCallback: (text) => failed.push(text) });
    if (failed.length) throw new Error(failed.join("\n"));
    missing.forEach((name) => loaded.add(name));
  }
}

async function start() {
  python = await loadPyodide({ indexURL: new URL("python/", location).href, env: ENVIRONMENT });
  const stream = (kind) => {
    const decoder = new TextDecoder();
    return { write: (bytes) => (say(kind, decoder.decode(bytes, { stream: true })), bytes.length) };
  };
  python.setStdout(stream("stdout"));
  python.setStderr(stream("stdout"));
  const [archive] = await Promise.all([fetch("python/chainrule.zip").then((answer) => answer.arrayBuffer()),
                                       load(["numpy", "threadpoolctl"])]);
  python.unpackArchive(archive, "zip", { extractDir: "/lib/python3.12/site-packages" });
  python.runPython(DRIVER);
}

const started = start();

onmessage = async (event) => {
  await started.then(async () => {
    id = event.data.id;
    if (event.data.plots) {
      const wheels = await (await fetch("python/wheels.json")).json();
      await load(["matplotlib", ...wheels.map((name) => new URL("python/" + name, location).href)]);
    }
    if (/\bscipy\b/.test(event.data.code)) await load(["scipy"]).catch(() => {});       // if the site has it
    say("started", null);
    python.globals.get("session").run(event.data.code, say);
  }).catch((error) => { id = event.data.id; say("error", String(error)); });
  say("done", null);
};
