"""Trains the runs of the grid that are not done: ``python -m benchmarks.essl.train --workers 2 'simclr/*'``.

With ``--evaluate`` each is measured as soon as it is trained, so that both take all cores. Stop it whenever you like;
the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import torch

from benchmarks.essl.grid import FOLDER, GRID
from eqmodels.storage import CONFIG
from eqmodels.training import pretrain


def main() -> None:
    """Trains what matches the patterns, each run in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"], help="names of runs, or shell patterns (default: all)")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time (default: 2)")
    parser.add_argument("--root", help="the folder of the data")
    parser.add_argument("--evaluate", action="store_true", help="also measure each run, see benchmarks.essl.evaluate")
    parser.add_argument("--list", action="store_true", help="only say which runs are done")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    # In the order of the patterns, so that a caller can say what comes first.
    names = list(dict.fromkeys(name for pattern in arguments.patterns for name in fnmatch.filter(GRID, pattern)))
    if arguments.one:
        torch.set_num_threads(1)
        pretrain(GRID[names[0]], FOLDER / names[0], root=arguments.root, quiet=True)
        return
    if arguments.list:
        for name in names:
            print("done" if (FOLDER / name / CONFIG).exists() else "    ", name)
        return

    def process(module: str, *options: str) -> bool:
        """Runs one module on one run; whether it went well."""
        command = [sys.executable, "-m", f"benchmarks.essl.{module}", *options]
        command += ["--root", arguments.root] if arguments.root else []
        # One thread a run: two small networks side by side train faster than one on two threads.
        return subprocess.run(command, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}).returncode == 0

    def run(name: str) -> bool:
        """Trains and measures what is not done of a run; whether it went well."""
        done = (FOLDER / name / CONFIG).exists()
        if not done:
            done = process("train", "--one", name)
            print("trained" if done else "failed", name, flush=True)
        return done and (not arguments.evaluate or process("evaluate", name))

    with ThreadPoolExecutor(arguments.workers) as pool:
        failed = [name for name, well in zip(names, pool.map(run, names), strict=True) if not well]
    if failed:
        raise SystemExit(f"{len(failed)} of {len(names)} runs failed, their messages are above: {', '.join(failed)}")


if __name__ == "__main__":
    main()
