"""Trains the encoders of points that are compared: ``python -m benchmarks.space.runs strict --cache FOLDER``.

Each gets equally many seconds of one thread: a few steps are timed first, and make the number of epochs. A run that was
stopped goes on. The long ones, as long as the network of the zoo: ``pointnet dgcnn --seconds 1200 --points 256``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from eqmodels.data import Source, load_data
from eqmodels.training import PretrainConfig, Pretraining, pretrain

__all__ = ["DATA", "RUNS", "config_of", "folder_of", "load_parts"]

DATA = "kicad_parts"

RUNS: dict[str, dict[str, Any]] = {
    "strict": {"model": "so3_vectors_small", "head": "frame", "learning_rate": 0.01},
    "turns": {"model": "so3_vectors_small", "head": "mlp"},
    "pointnet": {"model": "pointnet", "head": "mlp"},
    "dgcnn": {"model": "dgcnn", "head": "mlp"},
}
"""By name: the encoder, and what it predicts: a frame, or which of 24 turns was made."""

COMMON: dict[str, Any] = {
    "objective": "orientation",
    "data": DATA,
    "seen_points": 128,
    "batch_size": 16,
    "optimiser": "adamw",
    "learning_rate": 0.003,
    "weight_decay": 0.01,
    "clip_norm": 1.0,
}

FOLDER = Path("runs") / "space"
TIMED = 12
"""Steps that are timed."""


def folder_of(base: Path, name: str, seed: int) -> Path:
    """The folder of a run."""
    return base / f"{name}-{seed}"


def load_parts(split: str, root: str | None, cache: str | None) -> Source:
    """The parts of a split."""
    return load_data(DATA, "train" if split == "train" else "test", root=root, cache=cache)


def config_of(name: str, seed: int, epochs: int = 1, points: int | None = None) -> PretrainConfig:
    """What a run is; a step sees so many points of a part, or 128."""
    own = RUNS[name] if points is None else {**RUNS[name], "seen_points": points}
    return PretrainConfig.of(**{**COMMON, **own}, seed=seed, epochs=epochs, warmup_epochs=min(1, epochs))


def affordable(name: str, data: Source, seconds: float, points: int | None) -> int:
    """How many epochs a network can be trained for in so many seconds of the processor."""
    trial = Pretraining(config_of(name, 0, points=points), data)
    trial.network.train()
    for _ in range(3):
        trial.step()
    start = time.process_time()
    for _ in range(TIMED):
        trial.step()
    spent = (time.process_time() - start) / TIMED
    trial.close()
    return max(1, round(seconds / spent / trial.steps_per_epoch))


def train(name: str, seed: int, data: Source, base: Path, seconds: float, points: int | None) -> None:
    """One run, and beside it what it took."""
    folder = folder_of(base, name, seed)
    plan = folder.with_suffix(".json")
    if not plan.exists():
        plan.parent.mkdir(parents=True, exist_ok=True)
        epochs = affordable(name, data, seconds, points)
        plan.write_text(json.dumps({"epochs": epochs, "asked_seconds": seconds}) + "\n")
    content = json.loads(plan.read_text())
    start = time.process_time()
    pretrain(config_of(name, seed, content["epochs"], points), folder, data=data, quiet=True)
    content["processor_seconds"] = content.get("processor_seconds", 0) + round(time.process_time() - start, 1)
    plan.write_text(json.dumps(content) + "\n")
    print(f"{folder}: {content}", flush=True)


def main() -> None:
    """Trains what is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=RUNS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=300.0, help="of one thread, for each")
    parser.add_argument("--points", type=int, help="of a part that a step sees; 128 by default")
    parser.add_argument("--root", help="the folder of the library of parts")
    parser.add_argument("--cache", help="a folder that keeps the clouds")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = load_parts("train", arguments.root, arguments.cache)
    for name in arguments.names:
        train(name, arguments.seed, data, arguments.folder, arguments.seconds, arguments.points)


if __name__ == "__main__":
    main()
