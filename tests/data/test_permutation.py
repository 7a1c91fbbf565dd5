"""A permutation that takes no memory is one: every number once, another one for every key."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.data import KeyedPermutation


def keyed(count: int, seed: int = 0) -> KeyedPermutation:
    return KeyedPermutation(count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("counts", [range(1, 70), [255, 256, 257, 4095, 4096, 4097, 10_000, 65_537]])
def test_every_number_comes_once(counts):
    for count in counts:
        assert torch.equal(keyed(count, count)(torch.arange(count)).sort().values, torch.arange(count))


def test_a_part_of_the_order_is_the_same_however_it_is_asked_for():
    order, positions = keyed(1000), torch.tensor([999, 0, 5, 5])
    assert torch.equal(order(positions), order(torch.arange(1000))[positions])
    assert torch.equal(keyed(1000)(positions), order(positions))
    assert order(torch.arange(0)).tolist() == []


def test_another_key_gives_another_order_that_looks_random():
    first, second = (keyed(2**16 - 17, seed)(torch.arange(2**16 - 17)).double() for seed in (0, 1))
    for row in (torch.stack([first, second]), torch.stack([first[1:], first[:-1]])):
        assert abs(float(torch.corrcoef(row)[0, 1])) < 0.02
    # Of a random permutation one number stays where it is, on average.
    assert int((first == torch.arange(len(first))).sum()) < 8
    # Images that were neighbours are in all parts of the order: the halves of the numbers mix in every part of it.
    halves = (first < len(first) / 2).double()[: 2**15].view(32, -1).mean(1)
    assert float((halves - 0.5).abs().max()) < 0.08


def test_a_count_far_beyond_the_memory_is_one_too():
    numbers = keyed(10**15)(torch.arange(10_000))
    assert numbers.unique().numel() == 10_000
    assert 0 <= int(numbers.min()) < 10**12 < 10**15 - 10**12 < int(numbers.max()) < 10**15


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (0, "count must be at least 1; got 0. Pass a whole number of at least 1."),
        (2**62, "count must be below 2^62; got 4611686018427387904. Pass a smaller whole number."),
    ],
)
def test_other_counts_are_refused(count, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        keyed(count)
