"""Flips and crops are torchvision's, image by image, and distributed as they should be."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from eqmodels.transforms import RandomCrop, RandomHorizontalFlip, RandomResizedCrop

SIZES = [(28, 28), (32, 17), (9, 40), (1, 5)]
each_size = pytest.mark.parametrize("size", SIZES, ids=str)
each_type = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Equal to torchvision's functions.


@each_size
@each_type
@pytest.mark.parametrize("channels", [1, 3])
def test_resized_crops_are_torchvisions_image_by_image(size, dtype, channels):
    augmentation, images = RandomResizedCrop((0.05, 1.0), (0.4, 2.5)), torch.rand(60, channels, *size, dtype=dtype)
    uniforms = augmentation.draw(60, seeded())
    boxes = augmentation.boxes(uniforms, *size).tolist()
    expected = torch.stack(
        [functional.resized_crop(image, *box, size=size) for image, box in zip(images, boxes, strict=True)]
    )
    augmented = augmentation.apply(images, uniforms)
    # torchvision resizes in float32, whatever it is given.
    torch.testing.assert_close(augmented, expected, rtol=0, atol=1e-5)
    assert len({tuple(box) for box in boxes}) > 3
    if dtype == torch.float64:
        crops = (functional.crop(image, *box)[None] for image, box in zip(images, boxes, strict=True))
        exact = torch.cat([F.interpolate(crop, size, mode="bilinear", align_corners=False) for crop in crops])
        torch.testing.assert_close(augmented, exact, rtol=0, atol=1e-12)


@each_size
@each_type
def test_flips_are_torchvisions_image_by_image(size, dtype):
    augmentation, images = RandomHorizontalFlip(0.3), torch.rand(40, 3, *size, dtype=dtype)
    uniforms = augmentation.draw(40, seeded())
    expected = [
        functional.horizontal_flip(image) if float(number) < 0.3 else image
        for image, number in zip(images, uniforms, strict=True)
    ]
    assert torch.equal(augmentation.apply(images, uniforms), torch.stack(expected))


@each_size
@each_type
@pytest.mark.parametrize("padding", [0, 1, 4, 50])
def test_crops_are_torchvisions_after_padding_image_by_image(size, dtype, padding):
    augmentation, images = RandomCrop(padding), torch.rand(40, 3, *size, dtype=dtype)
    uniforms = augmentation.draw(40, seeded())
    expected = [
        functional.crop(functional.pad(image, [padding]), *offset, *size)
        for image, offset in zip(images, augmentation.offsets(uniforms).tolist(), strict=True)
    ]
    assert torch.equal(augmentation.apply(images, uniforms), torch.stack(expected))


@pytest.mark.parametrize(("probability", "flipped"), [(0.0, 0), (1.0, 30)])
def test_never_and_always_are_exact(probability, flipped):
    images = torch.rand(30, 1, 4, 6)
    augmented = RandomHorizontalFlip(probability)(images, seeded())
    assert int((augmented == images.flip(-1)).flatten(1).all(1).sum()) == flipped


def test_the_largest_crop_is_the_image():
    images = torch.rand(20, 3, 12, 12, dtype=torch.float64)
    augmented = RandomResizedCrop((1.0, 1.0), (1.0, 1.0))(images, seeded())
    torch.testing.assert_close(augmented, images, rtol=0, atol=1e-14)


# Distributed as they should be.


def chi_squared_is_plausible(counts: torch.Tensor) -> bool:
    """Whether counts may come of a uniform distribution: the statistic within four of its standard deviations."""
    expected, freedom = counts.double().mean(), len(counts) - 1
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return abs(statistic - freedom) < 4 * (2 * freedom) ** 0.5


def test_half_of_the_images_are_flipped():
    ramp = torch.arange(4.0).expand(10_000, 1, 1, 4) / 3
    rate = float((RandomHorizontalFlip()(ramp, seeded())[:, 0, 0, 0] == 1).float().mean())
    assert abs(rate - 0.5) < 4 * 0.5 / 10_000**0.5


def test_all_shifts_are_equally_likely():
    crop = RandomCrop(4)
    offsets = crop.offsets(crop.draw(20_000, seeded()))
    assert (offsets.min(), offsets.max()) == (0, 8)
    counts = (offsets[:, 0] * 9 + offsets[:, 1]).bincount(minlength=81)
    assert chi_squared_is_plausible(counts)


def kolmogorov_smirnov(first: torch.Tensor, second: torch.Tensor) -> float:
    """The two-sample statistic: the largest distance between the two empirical distribution functions."""
    values = torch.cat([first, second]).unique()
    below = [torch.searchsorted(sample.sort().values, values, right=True) / len(sample) for sample in (first, second)]
    return float((below[0] - below[1]).abs().max())


@pytest.mark.parametrize(
    ("size", "scale", "ratio"),
    [
        ((28, 28), (0.2, 1.0), (3 / 4, 4 / 3)),
        ((40, 20), (0.2, 1.0), (3 / 4, 4 / 3)),
        ((10, 50), (0.5, 1.0), (3 / 4, 4 / 3)),  # often none of ten attempts fits
        ((50, 10), (0.5, 1.0), (0.5, 0.9)),
    ],
    ids=str,
)
def test_boxes_are_distributed_as_torchvisions(size, scale, ratio):
    draws, augmentation = 3000, RandomResizedCrop(scale, ratio)
    ours = augmentation.boxes(augmentation.draw(draws, seeded()), *size).double()
    image = torch.empty(1, *size)
    theirs = torch.tensor(
        [v2.RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(draws)], dtype=torch.float64
    )
    # The distance that two equal distributions exceed once in 10,000 times.
    critical = 2.225 * (2 / draws) ** 0.5
    for summary in (
        lambda box: box[:, 0],
        lambda box: box[:, 1],
        lambda box: box[:, 2],
        lambda box: box[:, 3],
        lambda box: box[:, 2] * box[:, 3],
        lambda box: box[:, 3] / box[:, 2],
        lambda box: box[:, 0] + box[:, 2],
    ):
        assert kolmogorov_smirnov(summary(ours), summary(theirs)) < critical


def test_the_statistic_sees_another_distribution():
    draws = 3000
    boxes = [
        augmentation.boxes(augmentation.draw(draws, seeded()), 28, 28)[:, 2]
        for augmentation in (RandomResizedCrop((0.2, 1.0)), RandomResizedCrop((0.25, 1.0)))
    ]
    assert kolmogorov_smirnov(*boxes) > 2.225 * (2 / draws) ** 0.5


def test_areas_and_ratios_keep_their_limits():
    augmentation, size = RandomResizedCrop((0.2, 0.9), (0.5, 2.0)), 200
    top, left, height, width = augmentation.boxes(augmentation.draw(5000, seeded()), size, size).double().unbind(1)
    # A side is rounded to whole pixels: of at least 63, hence by less than 0.8%.
    area, ratio = height * width / size**2, width / height
    assert 0.2 * 0.98 < float(area.min()) < 0.21 * 1.02
    assert 0.85 < float(area.max()) < 0.9 * 1.02
    assert 0.5 * 0.98 < float(ratio.min()) < 0.52
    assert 1.9 < float(ratio.max()) < 2.0 * 1.02
    assert min(float(top.min()), float(left.min())) == 0
    assert max(float((top + height).max()), float((left + width).max())) == size


def test_the_largest_number_below_one_stays_inside():
    top = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
    assert RandomCrop(4).offsets(top.expand(1, 2)).tolist() == [[8, 8]]
    augmentation = RandomResizedCrop()
    for size in range(1, 65):
        row, column, height, width = augmentation.boxes(top.expand(1, augmentation.numbers), size, size)[0].tolist()
        assert row + height <= size
        assert column + width <= size
