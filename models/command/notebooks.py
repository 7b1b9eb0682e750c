"""``chainrule notebooks``."""
import filecmp
import importlib.resources
import importlib.util
import json
import sys
from pathlib import Path

from ...common.files import write_whole
from ...common.printing import printable
from .arguments import Parser

INSTALL = 'python -m pip install "chainrule[notebooks]"'


def parser():
    result = Parser(
        "chainrule notebooks",
        "Copy the chapters that belong to the installed version, outputs included, and say how to "
        "open them.",
        "A file that is there already is kept: your changes are safe. Delete it to have it "
        f"fresh.\nRunning chapters needs JupyterLab and SciPy: {INSTALL}\n"
        "\nexit code: 0, 1 where a chapter ended with an error, 2 for a wrong call\n"
        "\nexamples:\n  chainrule notebooks\n  chainrule notebooks course --run 05\n")
    result.add("folder", "where to put them", "notebooks", metavar="FOLDER", nargs="?")
    result.add("--run", "copy and run one chapter, by number or name, such as 05; the new outputs "
               "are written into the copy", metavar="CHAPTER")
    return result


def chapters():
    """The folder of the chapters, and their paths within it, in order."""
    folder = Path(str(importlib.resources.files(f"{__package__.split('.')[0]}.notebooks")))
    return folder, sorted(path.relative_to(folder) for pattern in ("*.ipynb", "solutions/*.ipynb")
                          for path in folder.glob(pattern))


def title(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join(cells[0]["source"]).splitlines()[0].lstrip("# ")


def copy(folder, names, to):
    """Copy the chapters that are not there; returns those that differ."""
    kept = []
    for name in names:
        if (to / name).exists():
            kept += [name] * (not filecmp.cmp(folder / name, to / name, shallow=False))
        else:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(to / name, (folder / name).read_bytes())
    return kept


def chosen(text, names):
    """The one chapter that a number or a name stands for, else ValueError."""
    top = [name for name in names if name.parent == Path()]
    found = ([name for name in top if text in (name.name, name.stem)]
             or [name for name in top
                 if text.isdecimal() and name.stem.startswith(f"{text.zfill(2)}_")]
             or [name for name in top if text.lower() in name.stem])
    if len(found) != 1:
        raise ValueError(f"{'no' if not found else 'more than one'} chapter is called {text!r}; "
                         f"there is {', '.join(name.stem for name in found or top)}")
    return found[0]


def run(path):
    """Run a chapter in its folder, outputs into the file."""
    import nbformat
    from jupyter_client.kernelspec import KernelSpecManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from tqdm import tqdm
    try:
        chapter = nbformat.read(path, as_version=4)
        count = sum(cell.cell_type == "code" for cell in chapter.cells)
    except Exception as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    client = NotebookClient(chapter, kernel_name="python3", timeout=None,
                            extra_arguments=["--log-level=ERROR"],
                            resources={"metadata": {"path": str(path.parent)}})
    # this interpreter's kernel, whatever others are installed
    client.create_kernel_manager().kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    try:
        with tqdm(total=count, desc=path.name, unit="cell") as bar:
            client.on_cell_executed = lambda cell, **_: bar.update(cell.cell_type == "code")
            client.execute()
    except CellExecutionError as error:
        print(printable(str(error)), file=sys.stderr)
        return 1
    except BaseException as error:
        if hasattr(client, "_async_cleanup_kernel_future"):  # nbclient's answer to Ctrl-C
            raise KeyboardInterrupt from None
        if isinstance(error, RuntimeError):
            raise ValueError(f"{path}: {error}") from error
        raise
    finally:
        write_whole(path, f"{nbformat.writes(chapter)}\n".encode())
    print(f"{path}: {count} cells ran without an error")


def main(options):
    to = Path(options.folder)
    folder, names = chapters()
    if options.run is not None:
        names = [chosen(options.run, names)]
    try:
        kept = copy(folder, names, to)
    except OSError as error:
        raise ValueError(f"cannot write into {to}: {error.strerror or error}; choose another folder"
                         ) from error
    if options.run is not None:
        missing = [name for name in ("nbclient", "ipykernel", "scipy")
                   if importlib.util.find_spec(name) is None]
        if missing:
            raise ValueError(f"running a chapter needs {', '.join(missing)}: {INSTALL}")
        return run(to / names[0])
    for name in names:
        print(printable(f"{to / name}  {title(folder / name)}" + "  (kept)" * (name in kept)))
    if kept:
        print(f"\nkept: {len(kept)} that differ from the installed version")
    first = f'"{to / names[0]}"' if " " in str(to) else to / names[0]
    print(f"\nopen them:              jupyter lab {first}\nif jupyter is missing:  {INSTALL}")
