"""``chainrule grade``."""
import concurrent.futures
import importlib
import os
import secrets
import shutil
import sys
import zipfile
from pathlib import Path

from ...common.files import write_whole
from ...common.printing import printable
from . import classroom, marking, notebooks
from .arguments import Parser, positive, whole

WRITTEN = ("marks.csv", "marks.json", "class.html", "feedback")
OUTSIDE = ("test_homework.py", "conftest.py", "setup.py")  # of the template: never taken


def parser():
    levels = "".join(f"  {level}  {what}\n" for level, what in classroom.LEVELS.items())
    result = Parser(
        "chainrule grade",
        "Mark a folder of homework. A hand-in is one .py file, or one folder with "
        "layers_to_write.py in it;\nits name is the student's. Each runs in a process of its own, "
        "with limits.",
        "into FOLDER are written: marks.csv, marks.json, class.html (the page about the class), "
        "and\nfeedback/STUDENT/: report.txt, and results.json for Gradescope\n\n"
        f"hint levels, for the students' reports:\n{levels}"
        "\nexit code: 0, whatever the marks; 2 for a wrong call\n"
        "\nexamples:\n  chainrule grade --template homework\n"
        "  chainrule grade week3\n  chainrule grade week3 --hint-level 1\n"
        "  chainrule grade --gradescope autograder.zip\n")
    add, size = result.add, positive(float, "a positive number")
    add("folder", "the folder of the hand-ins", metavar="FOLDER", nargs="?")
    add("--assignment", "which layers, of which shapes (default: the assignment.cfg of the "
        "homework template)", metavar="FILE")
    add("--hint-level", "how much the students' reports say", 2, int,
        choices=list(classroom.LEVELS))
    add("--out", "where to write (default: beside the hand-ins)", metavar="FOLDER")
    add("--seed", "of sizes and numbers (default: drawn anew, and written down)", kind=whole)
    add("--seconds", "for each layer", 10.0, size)
    add("--memory", "for each hand-in, where the system can limit it", 2.0, size, "GB")
    add("--jobs", "how many at a time (default: the number of processors)",
        kind=positive(int, "a whole number of at least 1"))
    result.add_argument("--one", action="store_true", help="FOLDER is a single hand-in")
    add("--template", "copy the homework to hand out, and end", metavar="FOLDER")
    add("--gradescope", "write Gradescope's autograder for this assignment, and end (default: "
        "%(const)s)", metavar="ZIP", nargs="?", const="autograder.zip")
    return result


def main(options):
    try:
        if options.template is not None:
            return hand_out(Path(options.template))
        assignment = Path(options.assignment) if options.assignment else template("assignment.cfg")
        file, tasks = marking.read_assignment(assignment)
        if options.gradescope is not None:
            return autograder(Path(options.gradescope), assignment, options)
        if options.folder is None:
            raise ValueError("the folder of the hand-ins is missing, as in: chainrule grade week3")
        folder = Path(options.folder)
        if not folder.exists():
            raise ValueError(f"there is no folder {folder}")
        out = Path(options.out or (folder if folder.is_dir() else folder.parent))
        found, left = ([folder], []) if options.one else hand_ins(folder)
        if not found:
            raise ValueError(f"{folder} holds no hand-in: neither a .py file nor a folder")
        marks, seed = mark_all(found, file, tasks, options, folder)
        write(marks, seed, out, folder, options)
    except OSError as error:
        at = error.filename or options.out or options.folder
        raise ValueError(f"{at}: {error.strerror or error}") from error
    show(marks, left, out)


def template(name=""):
    return notebooks.chapters()[0] / "homework_template" / name


def hand_out(to):
    names = sorted(path.name for path in template().iterdir() if path.is_file())
    to.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (to / name).exists():
            raise ValueError(f"{to / name} is there already; choose another folder")
    for name in names:
        shutil.copyfile(template(name), to / name)
        print(to / name)


def hand_ins(folder):
    found, left = [], []
    for path in sorted(folder.iterdir()):
        if path.name in WRITTEN or path.name.startswith((".", "__")):
            continue
        is_one = path.is_dir() or path.suffix == ".py"
        (found if is_one else left).append(path)
    return found, left


def files_of(path, name):
    """The file of a hand-in and the other Python files beside it and below; or (None, why not)."""
    if not path.is_dir():
        return path, []
    files = [p for p in sorted(path.rglob("*.py")) if p.name not in OUTSIDE
             and not any(part.startswith((".", "__MACOSX")) or part == "site-packages"
                         for part in p.relative_to(path).parts)]
    wanted = [p for p in files if p.name == name] or files
    if len(wanted) != 1:
        there = ", ".join(str(p.relative_to(path)) for p in wanted[:9]) or "no .py file"
        return None, f"it should hold {name} once, and holds {there}"
    return wanted[0], [p for p in files if wanted[0].parent in p.parents and p != wanted[0]]


def mark_all(found, name, tasks, options, folder):
    from tqdm import tqdm
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    shut = [*marking.forbidden(), os.path.realpath(folder)]
    stems = [path.stem if path.is_file() else path.name for path in found]
    names = [path.name if stems.count(stem) > 1 else stem for path, stem in zip(found, stems)]

    def mark(pair):
        student, path = pair
        source, helpers = files_of(path, name)
        why = helpers
        if source is not None:
            try:
                return marking.mark(student, source, helpers, tasks, seed, options, shut)
            except Exception as error:  # the others have their marks all the same
                why = f"the judge failed at it, mark it by hand: {type(error).__name__}: {error}"
        return marking.Mark(student, [marking.LayerMark(task.name) for task in tasks], why)

    with concurrent.futures.ThreadPoolExecutor(options.jobs or os.cpu_count()) as pool:
        pairs = list(zip(names, found))
        marks = list(tqdm(pool.map(mark, pairs), total=len(pairs), unit="hand-in", disable=None,
                          leave=False))
    return marks, seed


def write(marks, seed, out, folder, options):
    level, texts = options.hint_level, {}
    if not options.one:
        title = f"{folder.resolve().name}: {len(marks)} hand-in{'s' * (len(marks) != 1)}"
        texts = {"marks.csv": classroom.as_csv(marks),
                 "marks.json": classroom.dumps(classroom.as_json(marks, seed, level)),
                 "class.html": classroom.page(marks, title, level)}
    for m in marks:
        to = "" if options.one else f"feedback/{m.student}/"
        texts[f"{to}report.txt"] = classroom.feedback(m, level)
        texts[f"{to}results.json"] = classroom.dumps(classroom.gradescope(m, level))
    for name, text in texts.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(out / name, text.encode("utf-8", "replace"))


def show(marks, left, out):
    width = max(len(m.student) for m in marks)
    for m in marks:
        layers = "  ".join(f"{layer.name} {layer.mark}" for layer in m.layers)
        why = f"  {m.error}" if m.error else ""
        print(printable(f"{m.student:{width}}  {m.mark:2} of {m.out_of}  {layers}{why}"))
    for path in left:
        print(f"{path.name} is no hand-in: neither a .py file nor a folder", file=sys.stderr)
    print(f"\n{len(marks)} marked; see {out}")


SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, when the autograder is built.
set -e
apt-get update && apt-get install -y python3 python3-pip
python3 -c 'import sys; sys.version_info >= (3, 11) or sys.exit("needs Python 3.11 or newer")'
python3 -m pip install --break-system-packages {requirements}
"""
RUN = """#!/usr/bin/env bash
# Gradescope runs this for each submission. chainrule itself lies beside this file.
cd /autograder/source
PYTHONPATH=/autograder/source python3 -m chainrule grade /autograder/submission --one \\
    --assignment assignment.cfg --hint-level {level} --seconds {seconds:g} --memory {memory:g} \\
    --out /autograder/results
"""


def autograder(path, assignment, options):
    from importlib.metadata import requires
    name = __package__.split(".")[0]
    needs = [r.replace(" ", "") for r in requires(name) or () if "extra" not in r]
    values = {"level": options.hint_level, "seconds": options.seconds, "memory": options.memory,
              "requirements": " ".join(f"'{need}'" for need in needs)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for script, text in (("setup.sh", SETUP), ("run_autograder", RUN)):
            info = zipfile.ZipInfo(script)
            info.external_attr, info.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, text.format(**values))
        archive.write(assignment, "assignment.cfg")
        for package, folder in packages(name):
            for file in sorted(folder.iterdir()):
                if file.suffix == ".py" or file.name == "py.typed":
                    archive.write(file, f"{package.replace('.', '/')}/{file.name}")
    print(f"{path}: upload it at Gradescope, Configure Autograder")


def packages(name):
    """(package, folder) of each package of chainrule."""
    front = importlib.import_module(name)
    yield name, Path(front.__file__).parent
    names = list(front.__all__)
    while names:
        package = names.pop(0)
        folder = Path(importlib.import_module(f"{name}.{package}").__file__).parent
        yield f"{name}.{package}", folder
        inner = sorted(path.parent.name for path in folder.glob("*/__init__.py"))
        names += [f"{package}.{i}" for i in inner if i not in (*front.__all__, "front")]
