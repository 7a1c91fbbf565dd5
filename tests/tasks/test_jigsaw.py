"""Tiles change places as the permutation says; gaps and jitter are the same for every label."""

from __future__ import annotations

import itertools
import re

import pytest
import torch

from eqmodels.tasks import Jigsaw
from eqmodels.tasks.jigsaw import PERMUTATIONS

SPACINGS = [(0, 0), (1, 0), (1, 1), (2, 1), (3, 2), (3, 3), (4, 0), (4, 4)]

each_spacing = pytest.mark.parametrize(("gap", "jitter"), SPACINGS)


def tiles(images: torch.Tensor) -> torch.Tensor:
    """``(B, C, H, W)`` to ``(B, 4, C, H / 2, W / 2)``, row-major."""
    rows = [half.chunk(2, dim=-1) for half in images.chunk(2, dim=-2)]
    return torch.stack([rows[0][0], rows[0][1], rows[1][0], rows[1][1]], dim=1)


def numbered(height: int = 20, width: int = 16) -> torch.Tensor:
    """An image whose every pixel says where it comes from, counted from 1."""
    return torch.arange(1.0, height * width + 1, dtype=torch.float64).view(1, 1, height, width)


def all_labels() -> torch.Tensor:
    return torch.arange(24)


def test_the_labels_are_the_permutations_in_lexicographic_order():
    assert list(PERMUTATIONS) == sorted(itertools.permutations(range(4)))
    assert PERMUTATIONS[0] == (0, 1, 2, 3)
    assert Jigsaw().num_labels == 24


def test_tile_i_of_the_result_is_tile_p_i_of_the_image():
    images = torch.rand(24, 3, 6, 8)
    shuffled = tiles(Jigsaw(gap=0).apply(images, all_labels()))
    for label, permutation in enumerate(itertools.permutations(range(4))):
        assert torch.equal(shuffled[label], tiles(images)[label, list(permutation)])


def test_without_a_gap_label_0_is_the_identity():
    images = torch.rand(2, 3, 6, 8)
    assert torch.equal(Jigsaw(gap=0).apply(images, torch.tensor([0, 0])), images)


def test_without_a_gap_the_inverse_permutation_puts_the_tiles_back():
    images, task = torch.rand(24, 3, 6, 8), Jigsaw(gap=0)
    inverse = [PERMUTATIONS.index(tuple(sorted(range(4), key=p.__getitem__))) for p in PERMUTATIONS]
    assert torch.equal(task.apply(task.apply(images, all_labels()), torch.tensor(inverse)), images)


def test_without_a_gap_two_labels_applied_are_their_product_applied():
    image, task = numbered(6, 8), Jigsaw(gap=0)
    for (a, p), (b, q) in itertools.product(enumerate(PERMUTATIONS), repeat=2):
        product = PERMUTATIONS.index(tuple(p[i] for i in q))
        assert torch.equal(
            task.transform(task.transform(image, a, None), b, None), task.transform(image, product, None)
        )


@each_spacing
def test_tiles_are_the_gap_apart_and_zero_between_for_every_label(gap, jitter):
    shuffled = Jigsaw(gap=gap, jitter=jitter).apply(numbered().expand(24, -1, -1, -1), all_labels())
    filled = shuffled[:, 0] > 0

    def side(length: int) -> torch.Tensor:
        tile = [False] * (gap // 2) + [True] * (length // 2 - gap) + [False] * (gap - gap // 2)
        return torch.tensor(tile * 2)

    assert torch.equal(filled, (side(20)[:, None] & side(16)).expand_as(filled))


@each_spacing
def test_a_tile_is_a_window_of_its_own_quarter_at_most_the_jitter_away_from_the_others(gap, jitter):
    height, width, batch = 20, 16, 24 * 60
    labels = all_labels().repeat_interleave(60)
    shuffled = Jigsaw(gap=gap, jitter=jitter).apply(numbered().expand(batch, -1, -1, -1), labels)
    size = (height // 2 - gap, width // 2 - gap)
    window = tiles(shuffled)[:, :, 0, gap // 2 :, gap // 2 :][..., : size[0], : size[1]] - 1
    top, left = window[..., 0, 0].long() // width, window[..., 0, 0].long() % width
    # All pixels follow from the first: nothing is torn.
    expected = (top * width + left)[..., None, None] + torch.arange(size[0])[:, None] * width + torch.arange(size[1])
    assert torch.equal(window.long(), expected)
    source = torch.tensor(PERMUTATIONS)[labels]
    allowed = set(range((gap - jitter) // 2, (gap - jitter) // 2 + jitter + 1))
    for offset in (top - source // 2 * (height // 2), left - source % 2 * (width // 2)):
        for position in range(4):
            for label in (0, 23):
                assert set(offset[labels == label, position].tolist()) == allowed
        assert set(offset.flatten().tolist()) == allowed


def test_offsets_are_independent_between_tiles_and_axes():
    task = Jigsaw(gap=3, jitter=3)
    shuffled = task.apply(numbered().expand(4000, -1, -1, -1), torch.zeros(4000, dtype=torch.long))
    corner = tiles(shuffled)[:, :, 0, 1, 1].long() - 1
    offsets = torch.cat([corner // 16 % 10, corner % 16 % 8], dim=1).double()
    assert offsets.shape == (4000, 8)
    assert (torch.corrcoef(offsets.T) - torch.eye(8)).abs().max() < 0.08
    for column in offsets.T.long():
        assert column.bincount(minlength=4).sub(1000).abs().max() < 150


@pytest.mark.parametrize(("size", "gap"), [(6, 2), (16, 2), (28, 3), (32, 4), (96, 12), (224, 28)])
def test_the_default_gap_is_a_quarter_of_a_cell_and_the_jitter_fills_it(size, gap):
    assert Jigsaw().spacing(size, size) == (gap, gap)
    assert Jigsaw().spacing(size, 4 * size) == (gap, gap)
    assert Jigsaw(jitter=1).spacing(size, size) == (gap, 1)
    assert Jigsaw(jitter=gap + 1).spacing(size, size) == (gap + 1, gap + 1)
    assert Jigsaw(gap=1).spacing(size, size) == (1, 1)


@pytest.mark.parametrize(
    ("task", "shape", "message"),
    [
        (Jigsaw(gap=0), (27, 28), "at least 2 pixels; got 27 x 28. Nearest valid size: 28 x 28; pad or resize"),
        (Jigsaw(gap=0), (1, 4), "at least 2 pixels; got 1 x 4. Nearest valid size: 2 x 4; pad or resize"),
        (Jigsaw(), (4, 9), "at least 6 pixels; got 4 x 9. Nearest valid size: 6 x 10; pad or resize"),
        (Jigsaw(gap=5), (10, 12), "at least 12 pixels; got 10 x 12. Nearest valid size: 12 x 12; pad or resize"),
    ],
)
def test_an_impossible_size_is_refused_and_the_nearest_named_is_possible(task, shape, message):
    start = "jigsaw cuts images into 2 x 2 tiles, so both sides must be even and "
    with pytest.raises(ValueError, match=f"^{re.escape(start + message)}") as error:
        task.apply(torch.rand(1, 1, *shape), torch.tensor([0]))
    height, width = map(int, re.findall(r"size: (\d+) x (\d+)", str(error.value))[0])
    assert (task.apply(torch.ones(1, 1, height, width), torch.tensor([5])) > 0).any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"gap": -1}, ValueError, "gap must be at least 0 pixels; got -1. Pass, say, 4, or None."),
        ({"jitter": -2}, ValueError, "jitter must be at least 0 pixels; got -2. Pass, say, 4, or None."),
        ({"gap": 1.5}, TypeError, "gap must be a number of pixels or None; got 1.5. Pass, say, 4."),
        ({"jitter": True}, TypeError, "jitter must be a number of pixels or None; got True. Pass, say, 4."),
        (
            {"gap": 1, "jitter": 2},
            ValueError,
            "jitter moves a tile within its cell, so it must be at most the gap of 1 pixels; got 2. "
            "Pass gap=2 or jitter=1.",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_arguments_are_answered_in_one_sentence(arguments, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        Jigsaw(**arguments)
