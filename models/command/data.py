"""``chainrule data``."""
from ...datasets.catalogue import CATALOGUE
from ...datasets.download import data_folder, obtain
from .arguments import Parser, known


def parser():
    result = Parser(
        "chainrule data", "List the data there is, or fetch what is named and not there yet.",
        "Files are kept in the folder that the environment variable CHAINRULE_DATA names,\n"
        "otherwise in the user's cache. Those that are there are used, and never fetched again.\n"
        "\nexamples:\n  chainrule data\n  chainrule data mnist cifar10\n")
    result.add("names", "what to fetch (default: nothing, a list is shown)",
               kind=known("data set", CATALOGUE), metavar="NAME", nargs="*")
    return result


def state(entry):
    """Whether the files of a set are there, in a word or two."""
    if not entry.files:
        return "comes with chainrule"
    missing = [file for file in entry.files
               if not any(path.exists() for path in file.paths(data_folder(file.inside)))]
    if not missing:
        return "there"
    megabytes = max(1, round(sum(file.size for file in missing) / 1e6))
    return f"{len(missing)} of {len(entry.files)} files missing, {megabytes} MB"


def main(options):
    for name in options.names:
        for file in CATALOGUE[name].files:
            print(obtain(CATALOGUE[name].load.__name__, file))
        if not CATALOGUE[name].files:
            print(f"{name} comes with chainrule")
    if not options.names:
        print(f"data folder: {data_folder().absolute()}\n")
        for name, entry in CATALOGUE.items():
            print(f"{name:14} {entry.load.__name__ + '()':21} {entry.what}\n"
                  f"{'':14} {state(entry)}")
