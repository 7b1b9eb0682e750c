"""The time of a full training step (forward, loss, backward, update), beside the same step in other hands.

    python tests/benchmarks/run.py                        all workloads: chainrule, bare NumPy and PyTorch
    python tests/benchmarks/run.py W2 --blas haswell      one workload, on a BLAS kept to AVX2
    python tests/benchmarks/run.py --peers chainrule,chainrule:numpy,torch       with and without compiled loops
    python tests/benchmarks/run.py --peers chainrule,jax,torch         JAX's step, compiled by jit, where it is installed
    python tests/benchmarks/run.py --table                all peers at one thread and at two; then single layers (layers.py)
    python tests/benchmarks/run.py --memory               memory alone, of a fresh process for each round

Each peer runs in a process of its own; blocks of steps take turns (A B C, C B A, ...) and the table gives the median
over the blocks. Memory is the most by which a process grows while model and optimizer are built and train: parameters,
gradients, the optimizer's state, what is kept for backward, all that a step needs for a moment, and what lies unused
between these. Not the data, nor the library: it has trained the same model before, and freed it. Only ratios within one
run mean anything. How to add a workload or a peer: workloads.py.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from statistics import median

from workloads import WORKLOADS

HERE = Path(__file__).parent
EVERY = ["chainrule", "chainrule:numpy", "numpy", "products", "torch", "jax"]
KERNELS = {"auto": None, "haswell": "Haswell", "skx": "SkylakeX"}
AVX512 = {"SkylakeX", "Cooperlake", "SapphireRapids"}
THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"
TOLERANCE = 1e-3                                              # relative, of the losses


class Worker:
    """A running worker.py; after it has died, `ask` raises RuntimeError with its last words."""

    def __init__(self, *arguments, env, stack):
        self.errors = stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115
        self.process = stack.enter_context(subprocess.Popen(
            [sys.executable, HERE / "worker.py", *arguments], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors))

    def ask(self, question=""):
        with suppress(OSError):                               # it may have died since its last answer
            print(question, end="", file=self.process.stdin, flush=True)
        if line := self.process.stdout.readline():
            return json.loads(line)
        code = self.process.wait()
        with suppress(OSError):                               # what it did not read
            self.process.stdin.close()
        self.errors.seek(0)
        raise RuntimeError((self.errors.read().strip() or f"exit code {code}").splitlines()[-1])


def environment(blas, threads):
    """The peers' environment variables: NumPy's BLAS and every library's threads."""
    env = os.environ | dict.fromkeys(THREADS, str(threads))
    env.pop("OPENBLAS_CORETYPE", None)
    return env | ({"OPENBLAS_CORETYPE": KERNELS[blas]} if KERNELS[blas] else {})


def measure(workload, peers, env, rounds, block):
    """{peer: {"losses", "memory", "times"}} of the peers that lasted, and the number of those that crashed."""
    workers, results, crashed = {}, {}, 0
    with ExitStack() as stack:
        def ask(peer, question=""):
            nonlocal crashed
            try:
                return workers[peer].ask(question)
            except RuntimeError as error:
                crashed += 1
                print(f"{peer} crashed: {error}")
                del workers[peer]
                results.pop(peer, None)

        for peer in peers:
            name, _, floor = peer.partition(":")
            there = env | ({"CHAINRULE_FLOOR": floor} if floor else {})
            workers[peer] = Worker(name, workload, env=there, stack=stack)
            ready = ask(peer)
            if ready and "absent" in ready:
                del workers[peer]
                print(f"{peer} left out: {ready['absent']}")
            elif ready:
                results[peer] = ready | {"times": []}
        for turn in range(rounds):
            for peer in list(workers)[::-1 if turn % 2 else 1]:
                if answer := ask(peer, f"{block}\n"):
                    results[peer]["times"].append(answer["seconds"])
    return results, crashed


def disagreements(results):
    """A sentence for each peer whose losses are not the first peer's."""
    results = {peer: result for peer, result in results.items() if peer != "products"}            # they have none
    first = next(iter(results), None)
    for peer, result in results.items():
        for when, a, b in zip(("1st", "24th"), result["losses"], results[first]["losses"]):
            if not math.isclose(a, b, rel_tol=TOLERANCE):
                yield f"{peer} does not do the work that {first} does: loss {a:.6g} at the {when} step, not {b:.6g}"


def table(results):
    """The lines of the table, fastest first."""
    medians = {peer: median(result["times"]) for peer, result in results.items()}
    scale, unit = (1e3, "ms") if min(medians.values()) > 1e-3 else (1e6, "µs")
    yield (f"{'peer':16} {f'median {unit}':>11} {'min':>9} {'max':>9} {'/ torch':>8} {'/ numpy':>8} {'memory MiB':>11}"
           f"   loss at the 1st and 24th step")
    for peer in sorted(medians, key=medians.get):
        result = results[peer]
        times = [scale * time for time in (medians[peer], min(result["times"]), max(result["times"]))]
        ratios = [f"{medians[peer] / medians[base]:.2f}" if base in medians else "" for base in ("torch", "numpy")]
        memory = "" if result["memory"] is None else f"{result['memory']:.0f}"
        yield (f"{peer:16} {times[0]:11.2f} {times[1]:9.2f} {times[2]:9.2f} {ratios[0]:>8} {ratios[1]:>8} {memory:>11}"
               f"   {result['losses'][0]:.4f} {result['losses'][1]:.4f}")


def memory_table(workloads, peers, env, rounds):
    """The lines of the table of --memory."""
    yield f"{'MiB':4}" + "".join(f"{peer:>17}" for peer in peers) + f"{'chainrule / torch':>20}"
    for workload in workloads:
        found = {peer: [] for peer in peers}
        for _ in range(rounds):
            for peer, result in measure(workload, peers, env, 0, 0)[0].items():
                found[peer].append(result["memory"])
        most = {peer: median(values) for peer, values in found.items() if values and None not in values}
        ratio = f"{most['chainrule'] / most['torch']:.2f}" if most.get("torch") and "chainrule" in most else ""
        yield f"{workload:4}" + "".join(f"{most[p]:17.1f}" if p in most else f"{'':17}" for p in peers) + f"{ratio:>20}"


def whole_table(workloads, options):
    """Prints the table of --table; the results and the number of failures."""
    print(f"{'over torch':12}" + "".join(f"{f'{n} thread' + 's' * (n > 1):>{12 * len(options.peers)}}" for n in (1, 2)))
    print(f"{'':12}" + "".join(f"{peer.replace('chainrule:', ':'):>12}" for _ in (1, 2) for peer in options.peers), flush=True)
    record, failures = {}, 0
    for workload in workloads:
        line, wrong = f"{workload:12}", []
        for threads in 1, 2:
            results, crashed = measure(workload, options.peers, environment(options.blas, threads), options.rounds, options.block)
            base = median(results["torch"]["times"]) if "torch" in results else math.nan
            line += "".join(f"{median(results[p]['times']) / base:12.2f}" if p in results else " " * 12 for p in options.peers)
            wrong += disagreements(results)
            failures += crashed
            record.setdefault(workload, {})[threads] = results
        print(line, *wrong, sep="\n", flush=True)
        failures += len(wrong)
    return record, failures


def verdicts(workload, results, avx512):
    """chainrule's ratio against each target that this run can tell."""
    targets = {"torch": WORKLOADS[workload].torch[avx512], "numpy": WORKLOADS[workload].numpy}
    for base, target in targets.items():
        if target and {"chainrule", base} <= set(results):
            ratio = median(results["chainrule"]["times"]) / median(results[base]["times"])
            yield f"{'✓' if ratio <= target else '✗'} chainrule takes {ratio:.3f} of {base}'s time, target {target:.2f}"


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def positive(kind):
    def parse(text):
        if not kind(text) > 0:
            raise ValueError
        return kind(text)
    parse.__name__ = f"positive {kind.__name__}"              # argparse: "invalid positive int value: '0'"
    return parse


def parse(arguments):
    known = [path.stem.removeprefix("peer_") for path in sorted(HERE.glob("peer_*.py"))]
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = partial(parser.add_argument, metavar="N")
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS), metavar="W", help=", ".join(WORKLOADS))
    option("--rounds", type=positive(int), default=7, help="blocks per peer (default: 7)")
    option("--block", type=positive(float), default=0.3, help="seconds that a block lasts (default: 0.3)")
    option("--threads", type=positive(int), default=2, help="threads of each peer (default: 2)")
    parser.add_argument("--peers", type=lambda text: text.split(","), metavar="P,P",
                        help=f"of {', '.join(known)} (default: chainrule,numpy,torch; of a table all)")
    parser.add_argument("--blas", choices=KERNELS, default="auto",
                        help="OPENBLAS_CORETYPE for all peers; auto, the default, leaves it unset, as users do")
    parser.add_argument("--memory", action="store_true", help="a table of memory alone: medians over --rounds processes")
    parser.add_argument("--table", action="store_true", help="one table of ratios, with all peers at one and at two threads; "
                        "unless workloads are named, single layers too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write machine and results there too")
    options = parser.parse_args(arguments)
    options.peers = options.peers or (EVERY if options.table else ["chainrule", "numpy", "torch"])
    for what, asked, there in ("workload", options.workloads, WORKLOADS), ("peer", options.peers, known):
        if strangers := [name for name in asked if name.removesuffix(":numpy") not in there]:
            parser.error(f"unknown {what} {strangers[0]!r}; there are {', '.join(there)}")
    if options.json and not options.json.resolve().parent.is_dir():
        parser.error(f"--json {options.json}: the folder does not exist")
    return options


def main(arguments=None):
    options = parse(arguments)
    env = environment(options.blas, options.threads)
    with ExitStack() as stack:
        machine = Worker(env=env, stack=stack).ask()
    print("Python {python}, NumPy {numpy}, PyTorch {torch}, {blas}, kernel {kernel}; {cpu}".format_map(machine))
    if options.table:
        workloads, failures = whole_table(options.workloads, options)
        for threads in (1, 2) if options.workloads == list(WORKLOADS) else ():
            failures += subprocess.run([sys.executable, HERE / "layers.py"], env=environment(options.blas, threads)).returncode
        if options.json:
            options.json.write_text(json.dumps({"machine": machine, "workloads": workloads}, indent=1) + "\n")
        return 1 if failures else 0
    core = env.get("OPENBLAS_CORETYPE", "unset")
    print(f"--threads {options.threads} --blas {options.blas} (OPENBLAS_CORETYPE {core})")
    if options.memory:
        for line in memory_table(options.workloads, options.peers, env, options.rounds):
            print(line, flush=True)
        return 0
    avx512 = not AVX512.isdisjoint([machine["kernel"], core])
    record, failures = {"machine": machine, "threads": options.threads, "blas": options.blas, "workloads": {}}, 0
    for workload in options.workloads:
        print(f"\n{workload}  {WORKLOADS[workload].what}", flush=True)
        results, crashed = measure(workload, options.peers, env, options.rounds, options.block)
        wrong = list(disagreements(results))
        failures += crashed + len(wrong)
        if results:
            lines = *table(results), *verdicts(workload, results, avx512), *wrong
            print(*lines, sep="\n", flush=True)
        record["workloads"][workload] = results
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
