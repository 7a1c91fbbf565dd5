"""The batches of a run: which images they have, and that reading ahead changes nothing but the time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
import torch

from eqmodels.data import LabelledImages, View, balanced_subset
from eqmodels.objectives import Prediction, Purpose, generator_for
from eqmodels.processes import World
from eqmodels.training import Pretraining
from eqmodels.training.batches import Batches, order_of
from tests.training.runs import photos, tiny


@dataclass(frozen=True, eq=False)
class Watched(View):
    """Photos that note what is read of them, by which thread; and may ask for an order."""

    order: str = "shuffled"
    spoilt: frozenset[int] = frozenset()
    reads: list[tuple[str, list[int]]] = field(default_factory=list)
    at_once: list[int] = field(default_factory=list)

    def pixels(self, indices):
        self.at_once.append(1)
        assert len(self.at_once) == 1, "read by two at once"
        if isinstance(indices, torch.Tensor):
            self.reads.append((threading.current_thread().name, indices.tolist()))
            if self.spoilt & set(indices.tolist()):
                raise OSError("the disk is gone")
        self.at_once.pop()
        return super().pixels(indices)


def steps(run: Pretraining, count: int) -> list[list[int]]:
    """The numbers of the images of so many steps."""
    run.network.train()
    for _ in range(count):
        if run.progress.step == run.steps_per_epoch:
            run.end_epoch()
        run.step()
    run.close()
    return [numbers for _, numbers in run.data.reads][:count]


def test_the_order_is_that_of_one_permutation_an_epoch():
    found = steps(Pretraining(tiny(), Watched(photos(43))), 12)
    for epoch in (0, 1):
        expected = torch.randperm(43, generator=generator_for(0, Purpose.ORDER, epoch))[:40].tolist()
        assert [number for step in found[5 * epoch : 5 * epoch + 5] for number in step] == expected


def test_it_is_drawn_once_an_epoch(monkeypatch):
    calls, randperm = [], torch.randperm

    def counted(count, **options):
        calls.append(count)
        return randperm(count, **options)

    monkeypatch.setattr(torch, "randperm", counted)
    batches = Batches(tiny(), photos(43), World())
    for epoch in (0, 1):
        for step in range(5):
            batches.numbers(epoch, step)
    assert calls == [43, 43]


@pytest.mark.parametrize("order", ["shuffled", "keyed"])
def test_every_epoch_has_every_image_once_in_another_order(order):
    batches = Batches(tiny(order=order), photos(40), World())
    epochs = [torch.cat([batches.numbers(epoch, step) for step in range(5)]) for epoch in (0, 1)]
    assert all(torch.equal(numbers.sort().values, torch.arange(40)) for numbers in epochs)
    assert not torch.equal(*epochs)
    shares = [Batches(tiny(order=order), photos(40), World(rank, 2)).numbers(1, 3) for rank in (0, 1)]
    assert torch.equal(torch.cat(shares), batches.numbers(1, 3))


def test_the_images_ask_for_an_order_if_the_config_leaves_it_open():
    asking = Watched(photos(), "keyed")
    assert [order_of(tiny(order=order), asking) for order in ("auto", "shuffled", "keyed")] == [
        "keyed",
        "shuffled",
        "keyed",
    ]
    assert order_of(tiny(), photos()) == "shuffled"
    assert order_of(tiny(), balanced_subset(asking, 8)) == "keyed"


def test_the_next_batch_is_read_by_a_thread_and_each_once():
    data = Watched(photos())
    run = Pretraining(tiny(epochs=2), data)
    names = {thread.name for thread in threading.enumerate()}
    numbers = steps(run, 10)
    assert [name.startswith("eqmodels-reads-ahead") for name, _ in data.reads] == [False] + [True] * 9
    assert len(data.reads) == len(numbers) == 10  # nor is anything read after the last step of the last epoch
    assert {thread.name for thread in threading.enumerate()} == names


def state(run: Pretraining) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_run_that_reads_ahead_has_the_weights_of_one_that_does_not(monkeypatch):
    runs = [Pretraining(tiny(), Watched(photos())) for _ in range(2)]
    steps(runs[0], 7)
    monkeypatch.setattr(Batches, "read_ahead", lambda *_: None)
    steps(runs[1], 7)
    assert_same(state(runs[0]), state(runs[1]))


def test_passes_that_come_again_are_read_once(monkeypatch):
    monkeypatch.setattr(Prediction, "kept_passes", 2)
    data = Watched(photos())
    run = Pretraining(tiny(epochs=5), data)
    assert len(steps(run, 25)) == len(data.reads) == 10
    views = [run.views(epoch, 1) for epoch in range(4)]
    torch.testing.assert_close(views[:2], views[2:], rtol=0, atol=0)
    assert not torch.equal(views[0][0], views[1][0])


def test_another_step_than_the_one_read_ahead_has_its_own_images():
    batches = Batches(tiny(), Watched(photos()), World())
    batches.read(0, 0)
    batches.read_ahead(0, 1)
    numbers, pixels = batches.read(2, 3)
    assert torch.equal(numbers, batches.numbers(2, 3))
    assert torch.equal(pixels, photos().pixels(numbers))
    batches.close()


def test_what_the_source_raises_is_raised_by_the_step_that_needs_the_images():
    numbers = Batches(tiny(), photos(), World()).numbers(0, 2)
    data = Watched(photos(), spoilt=frozenset(numbers.tolist()))
    run = Pretraining(tiny(), data)
    run.network.train()
    run.step()
    run.step()
    with pytest.raises(OSError, match="the disk is gone"):
        run.step()
    run.close()


def test_a_keyed_run_that_is_stopped_goes_on_to_the_same_weights(tmp_path):
    config = tiny(order="keyed")
    whole, cut, again = (Pretraining(config, Watched(photos())) for _ in range(3))
    numbers = steps(whole, 9)
    first = steps(cut, 7)
    cut.save(tmp_path)
    assert again.resume(tmp_path)
    assert first + steps(again, 2) == numbers
    assert_same(state(again), state(whole))


def test_labels_are_made_once_a_run():
    asked = []

    class Made(LabelledImages):
        @property
        def labels(self):
            asked.append(1)
            return vars(self)["labels"]

        @labels.setter
        def labels(self, value):
            vars(self)["labels"] = value

    images = photos()
    data = object.__new__(Made)
    for name, value in vars(images).items():
        vars(data)[name] = value
    run = Pretraining(tiny(head="mlp", class_weight=-0.5, class_hidden=8), data)
    asked.clear()
    for _ in range(3):
        run.step()
    run.close()
    assert len(asked) == 1
