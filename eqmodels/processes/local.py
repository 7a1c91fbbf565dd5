"""A command on all processors of one machine, without torchrun."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch import distributed

from eqmodels.checks import check_count
from eqmodels.processes.world import PATIENCE, is_one_of_several

__all__ = ["check_processes", "on_processes", "processes_here"]

T = TypeVar("T")

MOST = 16
"""Processes that are started unless more are asked for: each of them holds the images."""
GRACE = 60.0
"""Seconds that the others have to end once the first is done, before they are stopped."""


def processes_here(device: str | None) -> int:
    """The number of processes that share work best here: one a thread that PyTorch would use, at most one a processor.

    At most 16; one where they cannot be forked safely, see `check_processes`.

    Args:
        device: where is computed; None for a GPU if there is one, else the CPU.
    """
    return 1 if _hindrance(device) else min(torch.get_num_threads(), len(os.sched_getaffinity(0)), MOST)


def check_processes(count: int, device: str | None, name: str = "processes") -> int:
    """The number itself, if so many processes can share work here.

    Args:
        count: of processes.
        device: where is computed; None for a GPU if there is one, else the CPU.
        name: of the number in errors.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is below 1; or above 1 elsewhere than on Linux, on a device that is no CPU, or where torchrun
            has started several already.
    """
    if check_count(name, count) > 1 and (hindrance := _hindrance(device)):
        raise ValueError(f"{name} must be 1 {hindrance}; got {count}. Leave it out.")
    return count


def _hindrance(device: str | None) -> str | None:
    """Why processes cannot be forked here, if they cannot: that of Python's documentation, PyTorch's, or none."""
    if is_one_of_several():
        return "where torchrun starts the processes"
    if not sys.platform.startswith("linux"):
        return "elsewhere than on Linux"
    # By its word: whether there is such a device is said where it is used.
    is_on_cpu = not torch.cuda.is_available() if device is None else device.partition(":")[0] == "cpu"
    return None if is_on_cpu else "on a device that is no CPU"


def on_processes(count: int, function: Callable[[], T], failed: Callable[[BaseException], None]) -> T:
    """What a function gives that is called on so many processes of this machine, of which this one is the first.

    In it `joined_world` is the world of them all, and each computes with one thread: a process that is forked has none
    of the threads of before. They talk by the loopback interface alone.

    Args:
        count: of processes; with 1 the function is called, and that is all.
        function: what each of them calls; of the others, what it gives is dropped.
        failed: called in another process with what the function raised there, before that process ends.

    Raises:
        Exception: what the function raises here.
    """
    if count == 1:
        return function()
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="eqmodels-") as folder:
        meeting = Path(folder) / "meeting"
        others = [
            context.Process(target=_called, args=(meeting, rank, count, function, failed), daemon=True)
            for rank in range(1, count)
        ]
        for other in others:
            other.start()
        try:
            with _joined(meeting, 0, count):
                given = function()
            for other in others:
                other.join(GRACE)
            return given
        finally:
            for other in others:
                other.kill()
                other.join()


def _called(
    meeting: Path, rank: int, count: int, function: Callable[[], object], failed: Callable[[BaseException], None]
) -> None:
    """What another process than the first does, and its end."""
    with _joined(meeting, rank, count):
        try:
            function()
        except BaseException as error:
            failed(error)
            os._exit(1)


@contextmanager
def _joined(meeting: Path, rank: int, count: int) -> Iterator[None]:
    """A context in which this process is one of several."""
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    if "lo" in (name for _, name in socket.if_nameindex()):
        own["GLOO_SOCKET_IFNAME"] = "lo"
    before, threads = {name: os.environ.get(name) for name in own}, torch.get_num_threads()
    os.environ.update(own)
    torch.set_num_threads(1)
    try:
        distributed.init_process_group(
            "gloo", init_method=meeting.as_uri(), rank=rank, world_size=count, timeout=PATIENCE
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()
    finally:
        torch.set_num_threads(threads)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
