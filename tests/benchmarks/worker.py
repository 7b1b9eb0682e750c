"""One peer on one workload, in a process of its own: `python worker.py PEER WORKLOAD`, which run.py starts and asks.

It prints one JSON line when it is ready, then one for each number of seconds it reads: the mean time of a step over
a block that long. `python worker.py` alone prints what the measurements depend on.
"""
import ctypes
import gc
import importlib
import json
import platform
import re
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np
from workloads import PEERS, WORKLOADS

WARM_UP = 24


def machine():
    """The versions and the processor. What BLAS chose for this processor only threadpoolctl knows."""
    def installed(package):
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"
    info = Path("/proc/cpuinfo")
    cpu = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    blas = np.show_config("dicts")["Build Dependencies"]["blas"]
    try:
        from threadpoolctl import threadpool_info
        kernel = next(lib.get("architecture") for lib in threadpool_info() if lib["user_api"] == "blas")
    except (ImportError, StopIteration):
        kernel = "unknown"
    return {"python": platform.python_version(), "numpy": np.__version__, "torch": installed("torch"),
            "blas": f"{blas['name']} {blas['version']}", "kernel": kernel,
            "cpu": cpu[1] if cpu else platform.machine()}


def growth(build):
    """A step that is built anew, and the MiB by which this process grows at most while it is built and run six times;
    None where the system does not say. What the library loads at its first steps is there by then."""
    def status(name):
        return int(re.search(rf"{name}:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 2**10

    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)                      # free memory goes back to the system,
        Path("/proc/self/clear_refs").write_text("5")         # and the most that was there is forgotten
        before = status("VmRSS")
    except (OSError, AttributeError, TypeError):              # not Linux
        return build(), None
    step = build()
    for _ in range(6):
        step()
    return step, status("VmHWM") - before


def timed(step, steps):
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def work(peer, workload, answer):
    try:
        importlib.import_module(f"peer_{peer}")
    except ModuleNotFoundError as missing:
        if missing.name != peer:
            raise
        return answer(absent=f"{peer} is not installed")
    if workload not in PEERS[peer]:
        return answer(absent=f"peer_{peer}.py has no step for {workload}")
    w = WORKLOADS[workload].make()
    step = PEERS[peer][workload](w)
    losses, times = [], []
    for _ in range(WARM_UP):
        times.append(timed(lambda: losses.append(float(step())), 1))
    del step
    step, memory = growth(lambda: PEERS[peer][workload](w))
    answer(losses=[losses[0], losses[-1]], memory=memory)
    for line in sys.stdin:
        time.sleep(0.05)                                      # the threads of the peer before spin on for some 30 ms
        step()
        answer(seconds=timed(step, max(1, int(float(line) / median(times)))))


if __name__ == "__main__":
    out, sys.stdout = sys.stdout, sys.stderr                  # what a library prints is no answer

    def answer(**fields):
        print(json.dumps(fields), file=out, flush=True)

    work(*sys.argv[1:], answer) if sys.argv[1:] else answer(**machine())
