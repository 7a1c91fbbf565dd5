"""One run on one process or on several."""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from eqmodels.arguments import check_arguments
from eqmodels.errors import EqmodelsError
from eqmodels.storage import printable
from eqmodels.training.errors import TrainingError

__all__ = ["World", "joined_world", "usable_device", "usable_precision"]

T = TypeVar("T")

_LOST = re.compile("by peer|[Bb]roken pipe|[Tt]imed out waiting|[Cc]onnection (was )?(closed|refused|reset)|gloo")
"""What gloo, which has no type of error of its own, says where another process is gone."""


@dataclass(frozen=True)
class World:
    """The processes of a run, and which one this is.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
        device: where this process computes.
        local_rank: number of this process on its machine, from 0.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    local_rank: int = 0

    @property
    def is_writer(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    @property
    def shares_statistics(self) -> bool:
        """Whether batch statistics are those of all processes: on GPUs, where PyTorch synchronises them."""
        return self.size > 1 and self.device.type == "cuda"

    def rows(self, size: int) -> slice:
        """The rows of a global batch that this process computes; all processes together have each row once.

        Args:
            size: images of the global batch, a multiple of the number of processes.
        """
        own = size // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, on each of them; of one process, the values themselves, where they are."""
        if self.size > 1:
            values = values.to(self.device)
            distributed.all_reduce(values)
        return values

    def barrier(self) -> None:
        """Waits for all processes."""
        if self.size > 1:
            self.sum(torch.zeros(1)).item()

    def from_writer(self, function: Callable[[], T]) -> T:
        """What the function gives on the writer, on every process; the others wait and do not call it.

        Raises:
            Exception: what the function raises on the writer, on every process: they end together.
        """
        if self.size == 1:
            return function()
        answer: list[Any] = [None, None]
        if self.is_writer:
            try:
                answer[0] = function()
            except Exception as error:
                answer[1] = error
        distributed.broadcast_object_list(answer, src=0, device=self.device)
        value, failure = answer
        if failure is not None:
            raise failure
        result: T = value
        return result

    @contextmanager
    def one_first(self) -> Iterator[None]:
        """Its body runs on one process of each machine, then on the others: what the first downloads, they find."""
        if self.local_rank:
            self.barrier()
        try:
            yield
        finally:
            if not self.local_rank:
                self.barrier()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Its body ends with a sentence on every process when one of them is killed: the others wait for it in vain.

        Raises:
            TrainingError: if the connection to another process was lost.
        """
        try:
            yield
        except RuntimeError as error:
            is_lost = isinstance(error, distributed.DistError) or _LOST.search(str(error))
            if self.size == 1 or isinstance(error, EqmodelsError) or not is_lost:
                raise
            raise TrainingError(
                f"another of the {self.size} processes that share this run ended before it was done, as if it was "
                "killed or memory ran out, if it says nothing else; so this one ends too. The last checkpoint is "
                "intact: start the same command again, and the run goes on from there."
            ) from error

    def replicate(self, model: nn.Module) -> nn.Module:
        """The model as it is called in training: gradients are averaged over the processes.

        Batch statistics are synchronised where PyTorch can (GPUs, see `Pretraining`); on CPUs each process has its own,
        and the running ones are those of process 0.
        """
        if self.size == 1:
            return model
        if self.device.type == "cuda":
            return DistributedDataParallel(model, device_ids=[self.device.index])
        return DistributedDataParallel(model)


@contextmanager
def joined_world(device: str | torch.device | None = None) -> Iterator[World]:
    """The world of this process: that of `torchrun` if it was started by it, else one of its own.

    A process group that is there already is used; one that is made here lives as long as the process.

    Args:
        device: where to compute; None for a GPU if there is one, else the CPU.
    """
    size, local = (int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")))
    device = usable_device(device)
    if size == 1:
        yield World(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", local if device.index is None else device.index)
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        # Not at the end of the run: a second group of one process would meet the addresses of the first one, and hang.
        atexit.register(distributed.destroy_process_group)
    yield World(distributed.get_rank(), size, device, local)


def usable_device(device: str | torch.device | None = None) -> torch.device:
    """The device, once a tensor has been put there.

    Args:
        device: None for a GPU if there is one, else the CPU.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if there is no such device.
    """
    check_arguments(usable_device, locals())
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        reason = printable(str(error).split("\n", maxsplit=1)[0])
        raise ValueError(
            f"device must be one that PyTorch can use here; got {printable(str(device))} ({reason}). Use 'cpu'."
        ) from error


def usable_precision(precision: str, device: torch.device) -> str:
    """``"bfloat16"`` or ``"float32"``: what is meant by a precision on a device.

    A GPU is asked, and so is a processor (AVX512-BF16 or AMX; without, a step of ``c4_resnet18s_w16`` took ten times as
    long as in float32). Other devices compute in float32.

    Args:
        precision: these two words mean themselves, and ``"auto"`` what the device multiplies natively.
        device: to compute on.
    """
    if precision != "auto":
        return precision
    native = False
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        # Private, and so possibly absent: then the slower answer is the safe one.
        asked = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
        native = any(ask() for ask in asked if ask is not None)
    return "bfloat16" if native else "float32"
