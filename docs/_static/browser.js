// Runs Python on the page: the text area of "Check my layer", and the cells of a chapter. Everything comes from
// this site; Python lives in worker.js.
const SITE = {
  worker: null, waiting: new Map(), count: 0,
  base: new URL(".", document.currentScript.src),

  start() {
    if (SITE.worker) return;
    SITE.worker = new Worker(new URL("worker.js", SITE.base));
    SITE.worker.onmessage = ({ data }) => {
      const job = SITE.waiting.get(data.id);
      if (!job) return;
      job.tell(data.kind, data.value);
      if (data.kind == "done") {
        SITE.waiting.delete(data.id);
        job.resolve();
      }
    };
    SITE.worker.onerror = (event) => SITE.stop(event.message || "Python did not start");
  },

  // Ends what runs, an endless loop too; the next run starts anew.
  stop(why = "stopped") {
    if (SITE.worker) SITE.worker.terminate();
    SITE.worker = null;
    for (const job of SITE.waiting.values()) {
      job.tell("error", why);
      job.resolve();
    }
    SITE.waiting.clear();
  },

  // Resolves when the code has run; tell(kind, value) hears "started", "stdout", "html", "png" and "error".
  run(code, tell, plots = false) {
    SITE.start();
    const id = ++SITE.count;
    return new Promise((resolve) => {
      SITE.waiting.set(id, { tell, resolve });
      SITE.worker.postMessage({ id, code, plots });
    });
  },

  // Shows what a run says in an element.
  shower(output, status) {
    output.replaceChildren();
    const add = (tag, fill) => {
      const element = document.createElement(tag);
      fill(element);
      output.append(element);
    };
    return (kind, value) => {
      if (kind == "started") status.textContent = "running …";
      if (kind == "stdout" && output.lastChild?.className == "stdout") output.lastChild.textContent += value;
      else if (kind == "stdout") add("pre", (e) => { e.className = "stdout"; e.textContent = value; });
      if (kind == "html") add("div", (e) => { e.className = "shown"; e.innerHTML = value; });
      if (kind == "png") add("img", (e) => { e.src = "data:image/png;base64," + value; e.alt = "the cell's figure"; });
      if (kind == "error") add("pre", (e) => { e.className = "error"; e.textContent = value; });
    };
  },
};

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "run";
  made.textContent = text;
  made.onclick = act;
  return made;
}

// "Check my layer"
function checkPage(form) {
  const [area, output, status] = ["textarea", ".output", ".status"].map((what) => form.querySelector(what));
  const examples = JSON.parse(document.getElementById("examples").textContent);
  const choose = form.querySelector("select");
  for (const name in examples) choose.add(new Option(name));
  choose.onchange = () => { area.value = examples[choose.value]; };
  area.value = examples[choose.value];
  const check = form.querySelector(".check"), stop = form.querySelector(".stop");
  stop.onclick = () => SITE.stop();
  check.onclick = async () => {
    check.disabled = true;
    stop.disabled = false;
    const begun = performance.now();
    status.textContent = SITE.worker ? "running …" : "Python is loading …";
    await SITE.run(area.value, SITE.shower(output, status));
    status.textContent = `done in ${((performance.now() - begun) / 1000).toFixed(1)} s`;
    check.disabled = false;
    stop.disabled = true;
  };
  area.onkeydown = (event) => {
    if (event.key == "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      check.click();
    }
  };
  SITE.start();                                          // loads while the visitor reads
}

// A chapter: one button turns its cells into cells that can be changed and run.
function chapterPage(article) {
  const cells = [...article.querySelectorAll("div.cell")];
  const bar = document.createElement("p");
  bar.className = "run-bar";
  bar.append(button("Run this chapter here", () => {
    bar.replaceChildren();
    const status = document.createElement("span");
    status.className = "status";
    status.setAttribute("role", "status");
    const runners = cells.map((cell) => liveCell(cell, status));
    bar.append(button("Run all", async () => { for (const run of runners) if (!(await run())) break; }),
               button("Stop", () => SITE.stop()), status);
    status.textContent = "long trainings are shortened here";
  }));
  article.querySelector("h1").after(bar);
}

function liveCell(cell, status) {
  const input = cell.querySelector(".cell_input"), code = input.querySelector("pre").textContent;
  const area = document.createElement("textarea");
  area.value = code.trimEnd();
  area.rows = area.value.split("\n").length + 1;
  area.spellcheck = false;
  area.setAttribute("aria-label", "a cell of Python");
  let output = cell.querySelector(".cell_output");
  if (!output) {
    output = document.createElement("div");
    output.className = "cell_output";
    cell.append(output);
  }
  const run = async () => {
    status.textContent = SITE.worker ? "running …" : "Python is loading …";
    const show = SITE.shower(output, status);
    let right = true;
    await SITE.run(area.value, (kind, value) => { right &&= kind != "error"; show(kind, value); }, true);
    status.textContent = right ? "done" : "a cell ended with an error";
    return right;
  };
  input.replaceChildren(area, button("Run", run));
  return run;
}

addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("check-my-layer");
  if (form) checkPage(form);
  const name = location.pathname.split("/").slice(-2).join("/");
  const article = document.querySelector("article");
  if (/^chapters\/(0[1-6]|12)_/.test(name) && article?.querySelector("div.cell")) chapterPage(article);
});
