"""What processes share: each row and each item once, one error for all, and batch statistics of the whole batch."""

from __future__ import annotations

import pickle
import signal
from itertools import chain
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from eqmodels.cli import _say_error
from eqmodels.cli.terminal import say
from eqmodels.data.pictures import BadFile, BadFilesError
from eqmodels.errors import is_shared, is_told_by_first, like
from eqmodels.evaluation.in_parts import _told
from eqmodels.processes import ProcessError, World
from eqmodels.processes.failures import portable
from eqmodels.processes.statistics import SharedBatchNorm, shared_statistics


@pytest.fixture
def group():
    """A group of processes, of which there is this one."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield World(size=2)
    distributed.destroy_process_group()


@pytest.mark.parametrize("count", [0, 1, 7, 8])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_each_row_and_each_item_is_one_processes(count, size):
    numbers = list(range(count))
    rows = [numbers[World(rank, size).rows(count)] for rank in range(size)]
    assert list(chain(*rows)) == numbers
    shares = [World(rank, size).share(numbers) for rank in range(size)]
    assert sorted(chain(*shares)) == numbers
    for parts in (shares, rows):
        lengths = [len(part) for part in parts]
        assert max(lengths) - min(lengths) <= 1


def test_one_process_does_all_by_itself():
    world = World()
    assert world.spread(str, [3, 1, 2]) == ["3", "1", "2"]
    assert (world.from_each(lambda: 5), world.from_writer(lambda: 6), world.each_after_first(lambda: 7)) == ([5], 6, 7)
    with world.together(), pytest.raises(RuntimeError, match="gloo"):
        world.from_each(lambda: _fail(RuntimeError("gloo")))


def _fail(error):
    raise error


class StrangeError(ValueError):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}.")


def test_an_error_travels_as_itself_or_as_what_it_is_of():
    bad = BadFilesError([BadFile(Path("a.png"), "it is empty")], 3, "Remove it.")
    assert portable(bad) is bad
    again = pickle.loads(pickle.dumps(bad))
    assert (type(again), str(again), again.bad) == (BadFilesError, str(bad), bad.bad)
    found = portable(StrangeError("this", "that"))
    assert (type(found), str(found)) == (ValueError, "this and that.")
    assert type(portable(ProcessError("gone"))) is ProcessError


def test_the_first_process_speaks_for_all(monkeypatch, capsys):
    for rank in ("0", "1"):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", rank)
        say("a result")
        error = World(int(rank), 2).told(ValueError("of all"))
        assert is_told_by_first(error) == (rank == "1")
        _say_error(error)
        _say_error(ValueError(f"of {rank}"))
    assert capsys.readouterr() == ("a result\n", "eqmodels: of all\neqmodels: of 0\neqmodels: of 1\n")
    assert not is_told_by_first(ValueError("another"))
    assert not is_shared(like(TypeError("another"), ValueError("one")))
    assert is_told_by_first(like(TypeError("another"), error))


def test_a_process_that_is_told_to_end_says_so():
    sentence = r"number 1 of 2 .* was told to end \(SIGTERM\).* Begin again\."
    with (
        pytest.raises(ProcessError, match=sentence),
        World(1, 2).together("Begin again."),
        World(1, 2).together("Begin again."),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_first_process_tells_of_what_all_have_done():
    told = []
    tell = _told(told.append, resumed=10, own=20, total=50)
    for count in (3, 17):
        tell(count)
    assert told == [10, 6, 34]
    told.clear()
    _told(told.append, resumed=50, own=0, total=50)
    assert told == [50]


@pytest.mark.parametrize("momentum", [0.1, None])
def test_shared_statistics_are_those_of_batch_normalisation(group, momentum):
    torch.manual_seed(0)
    model, plain = (nn.Sequential(nn.BatchNorm2d(3, momentum=momentum)).double() for _ in range(2))
    images = torch.randn(4, 3, 5, 5, dtype=torch.float64) + 3
    ours, theirs = images.clone().requires_grad_(), images.clone().requires_grad_()
    before = list(model.parameters())
    with shared_statistics(model, group):
        assert type(model[0]) is SharedBatchNorm
        assert list(model.state_dict()) == list(plain.state_dict())
        for _ in range(2):
            model(ours).pow(3).sum().backward()
            plain(theirs).pow(3).sum().backward()
        torch.testing.assert_close(model.eval()(images), plain.eval()(images))
    assert type(model[0]) is nn.BatchNorm2d
    assert not model[0].training
    assert all(one is other for one, other in zip(model.parameters(), before, strict=True))
    torch.testing.assert_close(model.state_dict(), plain.state_dict())
    torch.testing.assert_close(ours.grad, theirs.grad)
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    with shared_statistics(model, World()):
        assert type(model[0]) is nn.BatchNorm2d


def test_gradients_without_values_are_left_out(group):
    used, unused = (nn.Parameter(torch.ones(2)) for _ in range(2))
    (used * 3).sum().backward()
    group.sum_gradients([used, unused])
    assert (used.grad.tolist(), unused.grad) == ([3, 3], None)
