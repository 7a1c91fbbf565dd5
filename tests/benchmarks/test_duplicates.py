"""The set on which duplicates are measured is what it says, of 8 bits and of 16."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

from benchmarks.data.duplicates import CHANNELS, D4, LEVELS, build, deepened, distinct, opened, scores
from eqmodels.data import open_picture
from eqmodels.neighbours import DuplicatePair, Duplicates
from eqmodels.transforms import Resize


@pytest.fixture
def originals(tmp_path):
    """Five smooth pictures, so that all near misses are made."""
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for number, path in enumerate(paths):
        coarse = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((60, 48), Image.Resampling.BICUBIC).save(path)
    return paths


@pytest.mark.parametrize("deep", [False, True])
def test_copies_are_the_moved_picture_and_near_misses_are_none(originals, tmp_path, deep):
    (tmp_path / "set").mkdir()
    made = build(originals, tmp_path / "set", 0, deep=deep)
    assert sorted(one.family for one in made.values()) == sorted([*range(10), *range(5), *range(5)])
    for path, one in made.items():
        picture = open_picture(path, CHANNELS) if deep else to_tensor(opened(Path(path)))
        assert len(picture) == (CHANNELS if deep else 3)
        if deep:
            assert float(picture.max()) < (LEVELS + 0.5) / 65535
            picture = picture * 65535 / LEVELS
        if one.element is not None:
            expected = opened(originals[one.family])
            expected = torch.from_numpy(deepened(expected)).float() if deep else to_tensor(expected)
            back = D4.act(D4.inverse(one.element), picture[None])[0]
            assert float((Resize((24, 30), "squash")(back) - Resize((24, 30), "squash")(expected)).abs().mean()) < 0.03
    families: dict[int, list[str]] = {}
    for path, one in sorted(made.items()):
        families.setdefault(one.family, []).append(path)
    pairs = [
        DuplicatePair(a, b, made[b].element if made[a].kind == "original" else 0, "", 0.0)
        for paths in families.values()
        for a, b in itertools.combinations(paths, 2)
    ]
    figures = scores(Duplicates(tuple(pairs), (), len(made), 0), made, originals)
    assert {name: figures[name]["share"] for name in ("precision", "recall", "elements")} == dict.fromkeys(
        ("precision", "recall", "elements"), 1.0
    )


def test_a_picture_that_is_there_twice_is_drawn_once(originals, tmp_path):
    Image.open(originals[0]).save(tmp_path / "again.bmp")
    assert distinct([*originals, tmp_path / "again.bmp"]) == originals
