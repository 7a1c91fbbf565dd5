"""What holds for every augmentation: random image by image, a function of its numbers, within the unit interval."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.transforms import (
    ColourJitter,
    Compose,
    NoAugmentation,
    RandomCrop,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomResizedCrop,
    create_augmentation,
)

AUGMENTATIONS = {
    "none": NoAugmentation(),
    "flip": RandomHorizontalFlip(),
    "crop": RandomCrop(3),
    "resized_crop": RandomResizedCrop(),
    "grayscale": RandomGrayscale(0.5),
    "jitter": ColourJitter(0.8, 0.8, 0.8, 0.5),
    "empty": Compose(),
    "crop_flip": create_augmentation("crop_flip"),
    "simclr": create_augmentation("simclr"),
}
RANDOM = [name for name in AUGMENTATIONS if name not in ("none", "empty")]
ON_GREY = [name for name in RANDOM if name != "grayscale"]

every = pytest.mark.parametrize("name", AUGMENTATIONS)


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 16, channels: int = 3, *, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(count, channels, 12, 9, dtype=dtype)


@pytest.mark.parametrize("name", RANDOM)
def test_every_image_has_its_own_randomness(name):
    one = images(1)
    augmented = AUGMENTATIONS[name](one.expand(64, -1, -1, -1), seeded())
    different = len(augmented.flatten(1).unique(dim=0))
    assert different == 2 if name in ("flip", "grayscale") else different > 20


@every
@pytest.mark.parametrize("channels", [1, 3])
def test_a_generator_determines_the_result(name, channels):
    x = images(channels=channels)
    first, again, other = (AUGMENTATIONS[name](x, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    if name in (RANDOM if channels == 3 else ON_GREY):
        assert not torch.equal(first, other)


def test_without_a_generator_the_global_one_is_drawn_from():
    x, augmentation = images(), create_augmentation("simclr")
    torch.manual_seed(5)
    first = augmentation(x)
    torch.manual_seed(5)
    assert torch.equal(augmentation(x), first)
    state = torch.get_rng_state()
    augmentation(x, seeded())
    assert torch.equal(torch.get_rng_state(), state)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_in_parts_is_augmented_as_the_whole(name, dtype):
    augmentation, x = AUGMENTATIONS[name], images(dtype=dtype)
    whole, uniforms = augmentation(x, seeded()), augmentation.draw(len(x), seeded())
    assert uniforms.shape == (16, augmentation.numbers)
    for size in (1, 5, 16):
        parts = [augmentation.apply(*part) for part in zip(x.split(size), uniforms.split(size), strict=True)]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-14)


@every
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_and_type_are_kept_and_values_stay_in_0_to_1(name, channels, dtype):
    x = images(64, channels, dtype=torch.float64).round(decimals=1).to(dtype)  # with zeros and ones
    before = x.clone()
    augmented = AUGMENTATIONS[name](x, seeded())
    assert torch.equal(x, before), "the images that were given are left alone"
    assert (augmented.shape, augmented.dtype, augmented.device) == (x.shape, x.dtype, x.device)
    slack = 0 if dtype != torch.bfloat16 else 0.01
    assert float(augmented.min()) >= -slack
    assert float(augmented.max()) <= 1 + slack + 1e-6


@every
def test_channels_last_images_give_the_same(name):
    x = images(dtype=torch.float64)
    augmented = AUGMENTATIONS[name](x.to(memory_format=torch.channels_last), seeded())
    torch.testing.assert_close(augmented, AUGMENTATIONS[name](x, seeded()), rtol=0, atol=1e-14)


@every
@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_of_no_images(name, channels):
    assert AUGMENTATIONS[name](images(0, channels), seeded()).shape == (0, channels, 12, 9)


@every
def test_the_default_device_has_no_part_in_it(name):
    x = images()
    expected = AUGMENTATIONS[name](x, seeded())
    with torch.device("meta"):
        assert AUGMENTATIONS[name].draw(4, seeded()).device.type == "cpu"
        augmented = AUGMENTATIONS[name](x, seeded())
    assert torch.equal(augmented, expected)


def test_parts_of_a_composition_have_their_own_numbers():
    flip, crop = RandomHorizontalFlip(), RandomCrop(2)
    both, x = Compose(flip, crop), images()
    uniforms = both.draw(len(x), seeded())
    assert both.numbers == 3
    assert torch.equal(both.apply(x, uniforms), crop.apply(flip.apply(x, uniforms[:, :1]), uniforms[:, 1:]))


# The presets.


def test_none_changes_nothing():
    x = images()
    assert torch.equal(create_augmentation("none")(x), x)


def test_the_presets_are_the_papers():
    crop, flip = create_augmentation("crop_flip").parts
    assert (crop.padding, flip.probability) == (4, 0.5)
    resized, flip, jitter, grey = create_augmentation("simclr").parts
    assert (resized.scale, resized.ratio, flip.probability) == ((0.2, 1.0), (3 / 4, 4 / 3), 0.5)
    assert (jitter.strengths, jitter.probability, grey.probability) == ((0.4, 0.4, 0.4, 0.1), 0.8, 0.2)


# What is refused.


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: create_augmentation("autoaugment"),
            ValueError,
            "augment must be one of crop_flip, none, simclr; got 'autoaugment'. Use 'crop_flip', or import the "
            "file that registers it (--import FILE).",
        ),
        (
            lambda: NoAugmentation()(torch.zeros(3, 8, 8)),
            ValueError,
            "images must have the shape (batch, channels, height, width); got (3, 8, 8). "
            "Add a missing batch axis with images[None].",
        ),
        (
            lambda: NoAugmentation()(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)),
            TypeError,
            "images must be floating point with values in [0, 1]; got torch.uint8. Convert with images / 255.",
        ),
        *[
            (
                lambda name=name: AUGMENTATIONS[name](torch.zeros(2, 4, 8, 8)),
                ValueError,
                "changes of colour need images of 1 or 3 channels; got 4. Use augment='crop_flip'.",
            )
            for name in ("grayscale", "jitter", "simclr")
        ],
        *[
            (build, ValueError, "probability must lie in 0 .. 1; got 1.5. Pass, say, 0.")
            for build in (
                lambda: RandomHorizontalFlip(1.5),
                lambda: RandomGrayscale(1.5),
                lambda: ColourJitter(0, 0, 0, 0, probability=1.5),
            )
        ],
        (lambda: RandomCrop(-1), ValueError, "padding must lie in 0 .. 65536; got -1. Pass, say, 0."),
        (lambda: ColourJitter(0, -1, 0, 0), ValueError, "contrast must lie in 0 .. inf; got -1. Pass, say, 0."),
        (lambda: ColourJitter(0, 0, 0, 0.6), ValueError, "hue must lie in 0 .. 0.5; got 0.6. Pass, say, 0."),
        (
            lambda: RandomResizedCrop((0.5, 0.2)),
            ValueError,
            "scale must be a pair 0 < least <= largest <= 1; got (0.5, 0.2). Pass, say, (0.2, 1.0).",
        ),
        (
            lambda: RandomResizedCrop((0.2, 1.2)),
            ValueError,
            "scale must be a pair 0 < least <= largest <= 1; got (0.2, 1.2). Pass, say, (0.2, 1.0).",
        ),
        (
            lambda: RandomResizedCrop(ratio=(0, 1)),
            ValueError,
            "ratio must be a pair 0 < least <= largest; got (0, 1). Pass, say, (3 / 4, 4 / 3).",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_arguments_are_answered_in_one_sentence(build, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        build()
