"""Commands on several processes, as torchrun starts them, without what it costs."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from tests.training.runs import finish

__all__ = ["on_several", "start_several"]


def run(folder: Path, environment: dict[str, str], commands: Sequence[Sequence[str]]) -> None:
    """What a process does: commands one after the other, what each prints into files beside each other."""
    from eqmodels.cli import main

    os.environ.update(environment)
    torch.set_num_threads(1)
    status = 0
    for number, command in enumerate(commands):
        name = f"{number}.{environment['RANK']}"
        with (
            contextlib.redirect_stdout((folder / f"{name}.out").open("w", buffering=1)),
            contextlib.redirect_stderr((folder / f"{name}.err").open("w", buffering=1)),
        ):
            status = main(command)
        (folder / f"{name}.status").write_text(str(status))
    sys.exit(status)


def start_several(
    folder: Path, commands: Sequence[Sequence[str]], count: int = 2
) -> list[multiprocessing.context.ForkServerProcess]:
    """Processes that share commands."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["eqmodels.cli.embed", "eqmodels.cli.finetune"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    processes = []
    for rank in range(count):
        environment = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        processes.append(context.Process(target=run, args=(folder, environment, commands)))
        processes[-1].start()
    return processes


def on_several(folder: Path, commands: Sequence[Sequence[str]], count: int = 2) -> list[list[tuple[int, str, str]]]:
    """The status of each command on each process, and what it printed on both streams.

    Args:
        folder: where these are kept.
        commands: words of each.
        count: of processes.
    """
    folder.mkdir()
    for process in start_several(folder, commands, count):
        finish(process)

    def told(name: str) -> tuple[int, str, str]:
        out, err = ((folder / f"{name}.{stream}").read_text() for stream in ("out", "err"))
        return int((folder / f"{name}.status").read_text()), out, err

    return [[told(f"{number}.{rank}") for rank in range(count)] for number in range(len(commands))]
