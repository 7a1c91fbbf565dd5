"""One run on one process or on several."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from eqmodels.errors import EqmodelsError, shared
from eqmodels.processes.devices import usable_device
from eqmodels.processes.failures import ProcessError, Terminated, is_lost, portable, told_when_terminated
from eqmodels.torchrun import own_place

__all__ = ["World", "is_one_of_several", "joined_world", "wait_for_all"]

T = TypeVar("T")
Item = TypeVar("Item")
E = TypeVar("E", bound=Exception)

PATIENCE = timedelta(days=1)
"""How long processes wait for each other. One may decode or download for hours what the others find then; that one has
ended is known by its connection, and by torchrun."""

GO_ON = "The last checkpoint is intact: start the same command again, and the run goes on from there."
"""What can be done after a training was lost."""


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
            size: images of the global batch; if it is no multiple of the number of processes, some have one more.
        """
        return slice(self.rank * size // self.size, (self.rank + 1) * size // self.size)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, on each of them; of one process, the values themselves, where they are."""
        if self.size > 1:
            values = values.to(self.device)
            distributed.all_reduce(values)
        return values

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Puts the sum over all processes into the place of every gradient.

        Args:
            parameters: the same ones on every process; those without a gradient have none on any.
        """
        gradients = [one.grad for one in parameters if one.grad is not None]
        if self.size == 1 or not gradients:
            return
        summed = self.sum(torch.cat([one.reshape(-1) for one in gradients]))
        for gradient, values in zip(gradients, summed.split([one.numel() for one in gradients]), strict=True):
            gradient.copy_(values.view_as(gradient))

    def barrier(self) -> None:
        """Waits for all processes."""
        if self.size > 1:
            self.sum(torch.zeros(1)).item()

    def from_writer(self, function: Callable[[], T]) -> T:
        """What the function gives on the writer, on every process; the others wait and do not call it.

        Raises:
            Exception: what the function raises on the writer, on every process: they end together, and the first one
                says why.
        """
        if self.size == 1:
            return function()
        outcome: list[Any] = [_outcome(function) if self.is_writer else None]
        distributed.broadcast_object_list(outcome, src=0, device=self.device)
        value: T = self._values(outcome)[0]
        return value

    def from_each(self, function: Callable[[], T]) -> list[T]:
        """What the function gives on each process, in their order, on all of them.

        Whatever may fail on one process alone belongs into such a function, which must not wait for the others itself:
        so none waits in vain for one that has failed.

        Args:
            function: gives something that can be pickled; tensors on the CPU.

        Raises:
            Exception: what it raises on the first process on which it raises something, on all of them, and the first
                of all says it.
        """
        if self.size == 1:
            return [function()]
        outcomes: list[Any] = [None] * self.size
        distributed.all_gather_object(outcomes, _outcome(function))
        return self._values(outcomes)

    def spread(self, function: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
        """What the function gives for each item, in their order, on every process, each of which calls it for a share.

        Item by item it is what one process alone gives: so if items are batches, they are batches of the same images,
        and the results are the same bit for bit if each process computes with as many threads.

        Args:
            function: gives something that can be pickled, tensors on the CPU; it does not wait for other processes.
            items: the same ones on every process.

        Raises:
            Exception: what the function raises on any process, see `from_each`.
        """
        shares = self.from_each(lambda: [function(item) for item in self.share(items)])
        return [shares[number % self.size][number // self.size] for number in range(len(items))]

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part of some items: of two processes, every other item.

        Neighbours are as hard as each other more often than those far apart, so that all are done at about one time.
        """
        return items[self.rank :: self.size]

    def _values(self, outcomes: Sequence[tuple[Any, Exception | None]]) -> list[Any]:
        """The values of outcomes.

        Raises:
            Exception: the first failure among them.
        """
        failure = next((failure for _, failure in outcomes if failure is not None), None)
        if failure is not None:
            raise self.told(failure)
        return [value for value, _ in outcomes]

    def told(self, error: E) -> E:
        """An error that every process meets at the same place; the first alone says it."""
        return shared(error, is_first=self.is_writer)

    def each_after_first(self, function: Callable[[], T]) -> T:
        """What the function gives on this process, where it is called after the first of its machine is done.

        What the first downloads or caches, the others find.

        Raises:
            Exception: what it raises on any process, on all of them, and the first of all says it.
        """
        if self.size == 1:
            return function()
        first: tuple[Any, Exception | None] | None = _outcome(function) if not self.local_rank else None
        self.barrier()
        value, failure = _outcome(function) if first is None else first

        def told() -> None:
            if failure is not None:
                raise failure

        self.from_each(told)
        return cast("T", value)

    @contextmanager
    def together(self, go_on: str = GO_ON, error: type[EqmodelsError] = ProcessError) -> Iterator[None]:
        """Its body ends with a sentence on every process when one of them is killed: the others wait for it in vain.

        Args:
            go_on: a sentence on what can be done then.
            error: of which type it is.

        Raises:
            EqmodelsError: of this type, if the connection to another process was lost, or this one is told to end, as
                torchrun does when another has failed.
        """
        if self.size == 1:
            yield
            return
        try:
            with told_when_terminated():
                yield
        except RuntimeError as lost:
            if not is_lost(lost):
                raise
            raise error(
                f"another of the {self.size} processes that share this run ended before it was done, as if it was "
                f"killed or memory ran out, if it says nothing else; so this one ends too. {go_on}"
            ) from lost
        except Terminated as told:
            raise error(
                f"this process, number {self.rank} of {self.size} that share this run, was told to end (SIGTERM), as "
                f"torchrun does if another one ended before the run was done. {go_on}"
            ) from told

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


def is_one_of_several() -> bool:
    """Whether this process is one of several that share their work, as torchrun starts them."""
    return own_place().size > 1


@contextmanager
def joined_world(device: str | torch.device | None = None) -> Iterator[World]:
    """The world of this process: that of `torchrun` if it was started by it, else one of its own.

    A process group that is there already is used; one that is made here lives as long as the process.

    Args:
        device: where to compute; None for a GPU if there is one, else the CPU.
    """
    _, size, local = own_place()
    device = usable_device(device)
    if size == 1:
        yield World(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", local if device.index is None else device.index)
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        # Not at the end of the run: a second group of one process would meet the addresses of the first one, and hang.
        atexit.register(distributed.destroy_process_group)
    yield World(distributed.get_rank(), size, device, local)


def wait_for_all() -> None:
    """Waits until all processes of a group are here, or one of them has ended.

    Where all end with one error, torchrun would else end the first, which says it, as soon as another has ended.
    """
    if distributed.is_initialized():
        with suppress(RuntimeError):
            distributed.barrier()


def _outcome(function: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """What a function gives, and what it raises, as another process can have it."""
    try:
        return function(), None
    except Exception as error:
        return None, portable(error)
