"""Small runs: their images, their configs, and processes of their own that can be killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import socket
import sys
from pathlib import Path

import torch

from eqmodels.data import LabelledImages
from eqmodels.errors import EqmodelsError
from eqmodels.training import PretrainConfig, pretrain

TINY = {
    "model": "c4_resnet18s_w4",
    "head_hidden": 8,
    "augment": "crop_flip",
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.02,
    "precision": "float32",
}
DEMANDING = {
    "model": "resnet18s_w8",  # PyTorch 2.14's channels-last convolutions of 4 channels write past their memory
    "head": "mlp",
    "head_dropout": 0.2,
    "augment": "simclr",
    "precision": "bfloat16",
    "accumulate": 2,
    "optimiser": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.05,
}
"""What could make a run forget something: dropout, parts of a step, an optimiser of two moments, both formats."""


def tiny(**changes) -> PretrainConfig:
    """A config that trains in a second."""
    return PretrainConfig.of(**{**TINY, **changes})


def photos(count: int = 40, *, channels: int = 1, size: int = 12) -> LabelledImages:
    """Smooth random images, the same ones in every process."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")
    return LabelledImages("photos", (images * 255).to(torch.uint8), torch.arange(count) % 4, tuple("abcd"))


def weights(folder: Path) -> bytes:
    """The file of weights of a finished run."""
    return (folder / "model.safetensors").read_bytes()


def train(
    folder: Path,
    config: PretrainConfig,
    *,
    environment: dict[str, str] | None = None,
    most_bytes: int | None = None,
    killed_in: int | None = None,
    then: Path | None = None,
    **options,
) -> None:
    """What a process does: one run on `photos`; its exit status is 130 after Ctrl-C and 3 after an error.

    Args:
        folder: of the run; the sentence of an error becomes the file ``error`` beside it.
        config: what to do.
        environment: variables to be set.
        most_bytes: the size that a file may have at most, as on a full disk.
        killed_in: the process dies in that many-th replacement of a file, just before it happens.
        then: the folder of a second run in the same process.
        **options: arguments of `pretrain`.
    """
    os.environ.update(environment or {})
    torch.set_num_threads(1)
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    if killed_in is not None:
        _die_in_replacement(killed_in)
    try:
        for place in (folder, *([then] if then else [])):
            pretrain(config, place, data=photos(), device="cpu", quiet=True, **options)
    except KeyboardInterrupt:
        sys.exit(130)
    except (EqmodelsError, ValueError) as error:
        rank = os.environ.get("RANK", "")
        if most_bytes is None:
            (folder.parent / f"error{rank}").write_text(str(error))
        else:
            with contextlib.suppress(OSError):
                (folder.parent / f"error{rank}").write_text(str(error)[:most_bytes])
        sys.exit(3)


def start(folder: Path, config: PretrainConfig, **options) -> multiprocessing.Process:
    """A process of its own that trains."""
    context = multiprocessing.get_context("forkserver")
    # Imported once, not by every process.
    context.set_forkserver_preload(["eqmodels.training"])
    process = context.Process(target=train, args=(folder, config), kwargs=options)
    process.start()
    return process


def finish(process: multiprocessing.Process) -> int:
    """The exit status; a process that was killed has minus the signal."""
    process.join(120)
    if process.exitcode is None:
        os.kill(process.pid, signal.SIGKILL)
        raise AssertionError("the process did not end within two minutes")
    return process.exitcode


def start_several(folder: Path, config: PretrainConfig, count: int, **options) -> list[multiprocessing.Process]:
    """Processes that share a run, as torchrun would start them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    return [
        start(folder, config, environment={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, **options)
        for rank in range(count)
    ]


def _die_in_replacement(number: int) -> None:
    replace, calls = Path.replace, []

    def deadly(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = deadly
