"""Time and peak memory of building a network, each in a process of its own; escnn's beside ours.

python -m benchmarks.speed.build [--rounds 3] [--without-escnn]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from tqdm import tqdm

from benchmarks.speed._harness import Timings, summarise

NAMES = [f"{group}_resnet18s_w{width}" for width in (64, 128) for group in ("c4", "d4", "c8")]

CHILD = """
import json, resource, sys, time, torch
torch.set_num_threads(2)
from eqmodels import create_model
name, backend = sys.argv[1:]
if backend == "escnn":
    import escnn.nn  # its import is not part of the build
options = {"backend": backend} if backend == "escnn" else {}
start = time.perf_counter()
create_model(name, num_classes=10, **options)
seconds = time.perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def build(name: str, backend: str) -> tuple[float, float]:
    """Seconds of `create_model` and peak resident memory of the whole process in MiB."""
    command = [sys.executable, "-W", "ignore", "-c", CHILD, name, backend]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, mebibytes = json.loads(output.splitlines()[-1])
    return seconds, mebibytes


def main() -> None:
    """Runs the comparison and writes its two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-escnn", action="store_true", help="escnn takes minutes")
    arguments = parser.parse_args()
    seconds, memory = [], []
    for name in [*NAMES, "d4_wide_resnet28_10"]:
        plain = "c1_" + name.partition("_")[2]
        contenders = {plain: (plain, "native"), name: (name, "native")}
        if "wide" not in name:
            contenders["resnet18s" + name.partition("_resnet18s")[2]] = (
                "resnet18s" + name.partition("_resnet18s")[2],
                "native",
            )
        if not arguments.without_escnn and "wide" not in name:
            contenders[f"{name} (escnn)"] = (name, "escnn")
        measured: dict[str, list[tuple[float, float]]] = {label: [] for label in contenders}
        for _ in tqdm(range(arguments.rounds), desc=name, leave=False):
            for label, contender in contenders.items():
                measured[label].append(build(*contender))
        seconds += summarise(name, {k: [v[0] for v in values] for k, values in measured.items()}, reference=name)
        memory += summarise(name, {k: [v[1] for v in values] for k, values in measured.items()}, reference=name)
    common = {"reference": "our own", "module": "benchmarks.speed.build", "rounds": arguments.rounds}
    Timings.of("Building a network: time", unit="s", rows=seconds, **common).save("build_time")
    Timings.of("Building a network: peak memory of the process", unit="MiB", rows=memory, **common).save("build_memory")


if __name__ == "__main__":
    main()
