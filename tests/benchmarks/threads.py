"""Whose threads a training step should use: BLAS's, our own (common/engine/threads.py), or none.

    python tests/benchmarks/threads.py                 two threads, on a quiet machine
    python tests/benchmarks/threads.py --busy 2        beside two processes that do nothing but count

Each way runs in a process of its own; single steps are timed, blocks of them take turns. The table gives the median and the
95th percentile of a step in milliseconds. BLAS's threads wait awake for the next product, so that beside other processes a
step waits for a thread that waits for its processor.
"""
import argparse
import gc
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from run import environment
from workloads import PEERS, WORKLOADS, Workload, mlp

WAYS = "blas", "ours", "one"
SMALL = Workload("MLP 784-128-64-10, ReLU, batch 32, SGD", partial(
    mlp, sizes=(784, 128, 64, 10), batch=32, activation="ReLU", optimizer="SGD", lr=0.01), torch=(1.0, 1.0))


def prepared(way, name):
    """The step of a workload, with the threads of this way."""
    import peer_chainrule  # noqa: F401 (it registers itself)

    from chainrule.common.engine import threads
    from chainrule.models.model import Model
    step = PEERS["chainrule"]["W2" if name == "small" else name]((SMALL if name == "small" else WORKLOADS[name]).make())
    step()
    for model in [o for o in gc.get_objects() if isinstance(o, Model)]:
        model._own_threads = way == "ours"
    if way == "blas":
        threads.spread = lambda job, count, work: [job(slice(0, count))]
    return step


def worker(way, name):
    step = prepared(way, name)
    for _ in range(10):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        time.sleep(0.05)                                       # threads of the block before spin on for some 30 ms
        step()
        times, end = [], time.perf_counter() + float(line)
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        print(json.dumps(times), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", default=["small", "W2", "W4", "W5", "W7"])
    parser.add_argument("--busy", type=int, default=0, help="processes beside")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--block", type=float, default=0.5, help="seconds")
    options = parser.parse_args()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        print(f"{'':6}" + "".join(f"{way + ' median, p95':>22}" for way in WAYS))
        for name in options.workloads:
            processes = {way: subprocess.Popen(
                [sys.executable, Path(__file__), "--worker", way, name], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env=environment("auto", 1 if way == "one" else options.threads)) for way in WAYS}
            times = {way: [] for way in WAYS}
            for process in processes.values():
                process.stdout.readline()
            for i in range(options.rounds):
                for way in WAYS[::1 if i % 2 else -1]:
                    print(options.block, file=processes[way].stdin, flush=True)
                    times[way] += json.loads(processes[way].stdout.readline())
            for process in processes.values():
                process.stdin.close()
                process.wait()
            print(f"{name:6}" + "".join(
                f"{1e3 * np.median(times[way]):13.2f}{1e3 * np.quantile(times[way], 0.95):9.2f}" for way in WAYS), flush=True)
    finally:
        for process in busy:
            process.kill()
            process.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:])
    else:
        main()
