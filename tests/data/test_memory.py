"""A data set in memory: what it refuses, its statistics, its subsets and its colours."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from eqmodels.data import LabelledImages


def made(count: int = 60, *, channels: int = 1, classes: int = 4, shape: tuple[int, int] = (5, 7)) -> LabelledImages:
    images = torch.randint(256, (count, channels, *shape), dtype=torch.uint8)
    names = tuple(f"class {number}" for number in range(classes))
    return LabelledImages("made", images, torch.arange(count) % classes, names)


# What it is.


def test_it_knows_its_length_and_channels():
    assert len(made(12)) == 12
    assert made(channels=3).channels == 3


def test_it_knows_whether_any_image_has_a_colour():
    assert made(channels=3).has_colour
    assert not made().has_colour
    grey = made(2000).to_rgb()
    assert not grey.has_colour
    images = grey.images.clone()
    images[-1, 2, 4, 6] ^= 1
    assert LabelledImages("one of many", images, grey.labels, grey.classes).has_colour


def test_pixels_are_float32_in_0_to_1():
    data = made()
    assert data.pixels().dtype == torch.float32
    torch.testing.assert_close(data.pixels() * 255, data.images.float())
    assert torch.equal(data.pixels(torch.tensor([3, 1])), data.pixels()[[3, 1]])
    assert torch.equal(data.pixels(slice(2, 4)), data.pixels()[2:4])


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_numpys(channels):
    data = made(channels=channels)
    values = data.images.numpy().astype(np.float64) / 255
    means, deviations = data.statistics()
    np.testing.assert_allclose(means, values.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(deviations, values.std((0, 2, 3)), rtol=1e-12)


def test_a_constant_channel_has_the_deviation_1():
    images = torch.full((3, 1, 2, 2), 51, dtype=torch.uint8)
    data = LabelledImages("flat", images, torch.zeros(3, dtype=torch.long), ("one",))
    assert data.statistics() == (pytest.approx((0.2,)), (1.0,))


# Subsets.


def test_a_subset_has_the_chosen_images_in_the_given_order():
    data, chosen = made(), [7, 2, 2, 31]
    for subset in (data.subset(chosen), data.subset(torch.tensor(chosen))):
        assert torch.equal(subset.images, data.images[chosen])
        assert torch.equal(subset.labels, data.labels[chosen])
        assert subset.classes == data.classes


def numbered(count: int = 60, classes: int = 4) -> LabelledImages:
    """Each image has its own number in its only pixel."""
    images = torch.arange(count, dtype=torch.uint8).view(count, 1, 1, 1)
    labels = torch.arange(count).flip(0) % classes
    return LabelledImages("numbered", images, labels, tuple(f"class {number}" for number in range(classes)))


@pytest.mark.parametrize(
    ("count", "counts"), [(4, [1, 1, 1, 1]), (10, [3, 3, 2, 2]), (3, [1, 1, 1, 0]), (60, [15] * 4)]
)
def test_a_balanced_subset_has_equally_many_of_every_class(count, counts):
    subset = numbered().balanced_subset(count)
    assert subset.labels.bincount(minlength=4).tolist() == counts


def test_a_balanced_subset_keeps_the_order_and_repeats_nothing():
    numbers = numbered().balanced_subset(22, seed=3).images.flatten().tolist()
    assert numbers == sorted(set(numbers))
    assert numbered().balanced_subset(60).images.flatten().tolist() == list(range(60))


@pytest.mark.parametrize("count", [None, 60, 100])
def test_at_most_so_many_images_are_all_where_there_are_no_more(count):
    data = numbered()
    assert data.at_most(count) is data


def test_at_most_so_many_images_are_a_balanced_subset_where_there_are_more():
    few, subset = (numbered().at_most(20, seed=1), numbered().balanced_subset(20, seed=1))
    assert torch.equal(few.images, subset.images)


def test_the_seed_determines_a_balanced_subset():
    first, again, other = (numbered().balanced_subset(20, seed=seed).images for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_global_random_state_has_no_part_in_it():
    data, state = made(), torch.get_rng_state()
    data.balanced_subset(20)
    data.coloured()
    assert torch.equal(torch.get_rng_state(), state)


# Colours.


def test_grey_images_repeat_in_three_channels():
    data = made()
    colour = data.to_rgb()
    assert colour.images.shape == (60, 3, 5, 7)
    assert all(torch.equal(colour.images[:, channel], data.images[:, 0]) for channel in range(3))
    assert colour.to_rgb() is colour


def test_colours_depend_on_the_seed_and_not_on_the_labels():
    data = made()
    relabelled = LabelledImages(data.name, data.images, data.labels.flip(0), data.classes)
    assert torch.equal(data.coloured(seed=1).images, relabelled.coloured(seed=1).images)
    assert torch.equal(data.coloured(seed=1).labels, data.labels)
    assert not torch.equal(data.coloured(seed=1).images, data.coloured(seed=2).images)


def test_the_mean_colour_of_every_class_is_the_same():
    grey = torch.randint(256, (4000, 1, 1, 2), dtype=torch.uint8)
    data = LabelledImages("grey", grey, torch.arange(4000) % 4, ("a", "b", "c", "d")).coloured()
    means = torch.stack([data.pixels(data.labels == label).mean((0, 2, 3)) for label in range(4)])
    # Standard errors are about 0.25 / sqrt(2000).
    assert float((means - means.mean()).abs().max()) < 5 * 0.25 / 2000**0.5


def test_every_image_blends_between_its_own_dark_and_light_colour():
    ramp = torch.tensor([0, 128, 255], dtype=torch.uint8).expand(5000, 1, 1, 3)  # more than one block of the loop
    data = LabelledImages("ramp", ramp, torch.zeros(5000, dtype=torch.long), ("one",)).coloured()
    dark, middle, light = data.pixels().unbind(3)
    for values, low, high in ((dark, 0.0, 0.3), (light, 0.4, 1.0)):
        assert low - 1 / 255 <= float(values.min()) < low + 0.02
        assert high - 0.02 < float(values.max()) <= high + 1 / 255
    torch.testing.assert_close(middle, dark + (light - dark) * 128 / 255, rtol=0, atol=1.5 / 255)
    assert len(dark.flatten(1).unique(dim=0)) > 4900


# What is refused.


def refused(**changes):
    arguments = {
        "name": "made",
        "images": torch.zeros(2, 1, 3, 3, dtype=torch.uint8),
        "labels": torch.zeros(2, dtype=torch.long),
        "classes": ("one", "two"),
    }
    return lambda: LabelledImages(**(arguments | changes))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            refused(images=torch.zeros(2, 1, 3, 3, dtype=torch.float64)),
            TypeError,
            "images of made must be uint8, or float32 in [0, 1]; got torch.float64. Scale them to 0 .. 255.",
        ),
        (
            refused(images=torch.full((2, 1, 3, 3), 1.5)),
            ValueError,
            "floats of made must be in [0, 1]; got pixels from 1.5 to 1.5. Scale them.",
        ),
        (
            refused(images=torch.zeros(2, 3, 3, dtype=torch.uint8)),
            ValueError,
            "made needs images (N, channels, height, width) and N labels; got (2, 3, 3) and (2,).",
        ),
        (
            refused(labels=torch.zeros(3, dtype=torch.long)),
            ValueError,
            "made needs images (N, channels, height, width) and N labels; got (2, 1, 3, 3) and (3,).",
        ),
        (
            refused(images=torch.zeros(0, 1, 3, 3, dtype=torch.uint8), labels=torch.zeros(0, dtype=torch.long)),
            ValueError,
            "made has no images; got 0. Name a folder or a split that has some.",
        ),
        *[
            (
                refused(images=torch.zeros(shape, dtype=torch.uint8)),
                ValueError,
                f"images of made must have channels and pixels; got the shape {shape}. Leave empty ones out.",
            )
            for shape in ((2, 0, 3, 3), (2, 1, 0, 3), (2, 1, 3, 0))
        ],
        (
            refused(labels=torch.zeros(2)),
            TypeError,
            "labels of made must be int64; got torch.float32. Convert them with .long().",
        ),
        (
            refused(labels=torch.tensor([0, 2])),
            ValueError,
            "labels of made must name one of its 2 classes; got 0 .. 2. Number them from 0, and name every class.",
        ),
        (
            refused(labels=torch.tensor([-1, 1])),
            ValueError,
            "labels of made must name one of its 2 classes; got -1 .. 1. Number them from 0, and name every class.",
        ),
        (
            refused(labels=torch.tensor([-1, 0]), classes=()),
            ValueError,
            "labels of made must all be -1, as it has no classes; got -1 .. 0. Number them from 0, and name "
            "every class.",
        ),
        (
            lambda: made().subset([]),
            ValueError,
            "a subset needs at least one image; got none of made. Choose some.",
        ),
        (
            lambda: made(channels=2).to_grey(),
            ValueError,
            "only images of three channels become grey; made has 2. Choose the channels of the data, or a network that "
            "takes all of them.",
        ),
        *[
            (
                lambda count=count: made().balanced_subset(count),
                ValueError,
                f"a subset needs at least one image; got count={count}. Ask for, say, 4.",
            )
            for count in (0, -5)
        ],
        (
            lambda: made(channels=3).coloured(),
            ValueError,
            "only grey images can be coloured; made has 3 channels. Leave out coloured (--coloured).",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_is_no_data_set_is_refused_in_one_sentence(build, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        build()


def test_grey_is_the_usual_weighting_and_undoes_a_repeated_channel():
    colours = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.uint8)[:, :, None, None]
    data = LabelledImages("colours", colours, torch.zeros(3, dtype=torch.long), ("a",))
    assert data.to_grey().images.flatten().tolist() == [76, 149, 29]
    grey = LabelledImages("grey", torch.full((1, 1, 2, 2), 200, dtype=torch.uint8), torch.zeros(1).long(), ("a",))
    assert grey.to_grey() is grey
    assert (grey.to_rgb().to_grey().images.int() - 200).abs().max() <= 1
