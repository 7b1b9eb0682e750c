"""The time of a training step beside an earlier version's, interleaved in one run.

    git worktree add ../before COMMIT && python -m venv ../venv-before && ../venv-before/bin/pip install ../before
    python tests/benchmarks/against.py ../venv-before/bin/python W1 W2 --threads 1

Both versions run this folder's workloads, each in a process of its own; blocks of steps take turns, and the table gives the
median of the ratios of neighbouring blocks, now / before, with the middle half of them.
"""
import argparse
import json
import subprocess
import sys
from statistics import median, quantiles

from run import HERE, environment
from workloads import WORKLOADS


def worker(python, workload, env):
    return subprocess.Popen([python, HERE / "worker.py", "chainrule", workload], env=env, text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, cwd="/")


def ask(process, seconds):
    print(seconds, file=process.stdin, flush=True)
    return json.loads(process.stdout.readline())["seconds"]


def compare(before, workload, env, rounds, block):
    """The ratios now / before, one for each round."""
    both = [worker(python, workload, env) for python in (sys.executable, before)]
    try:
        losses = [json.loads(process.stdout.readline())["losses"] for process in both]
        ratios = []
        for i in range(rounds):
            order = (0, 1) if i % 2 else (1, 0)
            times = {k: ask(both[k], block) for k in order}
            ratios.append(times[0] / times[1])
        return ratios, losses
    finally:
        for process in both:
            process.stdin.close()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", help="the Python that has the earlier version installed")
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS), help="default: all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--blas", default="auto")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--block", type=float, default=0.3, help="seconds")
    options = parser.parse_args()
    for workload in options.workloads or WORKLOADS:
        env = environment(options.blas, options.threads)
        ratios, losses = compare(options.before, workload, env, options.rounds, options.block)
        low, _, high = quantiles(ratios, n=4)
        print(f"{workload:4} now / before {median(ratios):.3f} ({low:.3f} to {high:.3f})   "
              f"losses {losses[0][1]:.6g}, {losses[1][1]:.6g}", flush=True)


if __name__ == "__main__":
    main()
