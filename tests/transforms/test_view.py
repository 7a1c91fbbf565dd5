"""What an augmentation says of its views is what it did to the images."""

from __future__ import annotations

import pytest
import torch

from eqmodels.transforms import (
    Augmentation,
    ColourJitter,
    Compose,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    ViewParameters,
    adjust_hue,
    create_augmentation,
)

HEIGHT, WIDTH = 40, 48


def coordinates(batch: int) -> torch.Tensor:
    """Images whose two channels hold the row and the column of every pixel's centre."""
    rows = torch.arange(HEIGHT, dtype=torch.float64)[:, None].expand(HEIGHT, WIDTH) + 0.5
    columns = torch.arange(WIDTH, dtype=torch.float64).expand(HEIGHT, WIDTH) + 0.5
    return torch.stack([rows, columns]).expand(batch, 2, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    "augmentation",
    [
        RandomResizedCrop(),
        RandomCrop(4),
        RandomHorizontalFlip(),
        Compose(RandomResizedCrop(), RandomHorizontalFlip()),
        # Cropping what is flipped already, and cropping twice.
        Compose(RandomHorizontalFlip(), RandomResizedCrop((0.4, 1.0))),
        Compose(RandomResizedCrop((0.5, 1.0)), RandomHorizontalFlip(), RandomResizedCrop((0.5, 1.0))),
        create_augmentation("crop_flip"),
    ],
    ids=["resized", "shift", "flip", "resized, flip", "flip, resized", "twice", "crop_flip"],
)
def test_crops_and_flips_are_where_the_view_says(augmentation: Augmentation):
    uniforms = augmentation.draw(50, torch.Generator().manual_seed(0))
    views = augmentation.apply(coordinates(50), uniforms)
    said = augmentation.view(uniforms, HEIGHT, WIDTH)
    # The 4 x 4 pixels in the middle: neither padding nor the edge of a crop reaches there.
    middle = views[:, :, HEIGHT // 2 - 2 : HEIGHT // 2 + 2, WIDTH // 2 - 2 : WIDTH // 2 + 2]
    torch.testing.assert_close(middle.mean((2, 3)), said.crop[:, :2] + said.crop[:, 2:] / 2, rtol=0, atol=1e-9)
    down = (middle[:, 0, 3] - middle[:, 0, 0]).mean(1) / 3
    right = (middle[:, 1, :, 3] - middle[:, 1, :, 0]).mean(1) / 3
    torch.testing.assert_close(down, said.crop[:, 2] / HEIGHT, rtol=0, atol=1e-9)
    torch.testing.assert_close(right, said.crop[:, 3] / WIDTH * torch.where(said.flipped, -1.0, 1.0), rtol=0, atol=1e-9)


def test_colours_are_changed_as_the_view_says():
    # Far from 0 and 1, so that nothing is clamped.
    images = 0.45 + 0.1 * torch.rand(40, 3, 6, 6, dtype=torch.float64)
    grey = images.mean(1, keepdim=True)
    for index, strengths in enumerate([(0.4, 0, 0, 0), (0, 0.4, 0, 0), (0, 0, 0.4, 0), (0, 0, 0, 0.1)]):
        jitter = ColourJitter(*(float(strength) for strength in strengths))
        uniforms = jitter.draw(len(images), torch.Generator().manual_seed(index))
        colour = jitter.view(uniforms, 6, 6).colour
        assert 20 < int((colour[:, index] != ViewParameters.of_raw(1, 6, 6).colour[0, index]).sum()) < 40
        if index == 0:
            change = jitter.apply(grey, uniforms).mean((1, 2, 3)) / grey.mean((1, 2, 3))
        elif index == 1:
            change = jitter.apply(grey, uniforms).std((1, 2, 3)) / grey.std((1, 2, 3))
        elif index == 2:
            spread = [(x.amax(1) - x.amin(1)).mean((1, 2)) for x in (jitter.apply(images, uniforms), images)]
            change = spread[0] / spread[1]
        else:
            torch.testing.assert_close(jitter.apply(images, uniforms), adjust_hue(images, colour[:, 3]))
            continue
        torch.testing.assert_close(change, colour[:, index], rtol=1e-6, atol=0)


def test_no_augmentation_shows_the_raw_image():
    view = create_augmentation("none").view(torch.zeros(2, 0), 5, 7)
    assert view.crop.tolist() == [[0, 0, 5, 7]] * 2
    assert view.colour.tolist() == [[1, 1, 1, 0]] * 2
    assert not view.flipped.any()
