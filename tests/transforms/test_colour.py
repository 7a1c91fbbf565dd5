"""Changes of colour are torchvision's, image by image and in an order of each image's own."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torchvision.transforms.v2 import functional

from eqmodels.transforms import ColourJitter, RandomGrayscale, adjust_hue

CHANGES = (
    functional.adjust_brightness,
    functional.adjust_contrast,
    functional.adjust_saturation,
    functional.adjust_hue,
)
each_type = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int, channels: int = 3, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Random colours, and among them black, white, grey and pure ones."""
    pixels = torch.rand(count, channels, 6, 7, dtype=torch.float64)
    pixels[:, :, :2] = pixels[:, :, :2].round()
    pixels[:, :, 2] = pixels[:, :1, 2]
    return pixels.to(dtype)


def order_of(jitter: ColourJitter, uniforms: torch.Tensor) -> list[tuple[int, ...]]:
    """The order in which the numbers say each image is changed: empty if it is not."""
    orders = uniforms[:, 1 + jitter.CHANGES :].argsort(1).tolist()
    return [tuple(o) if float(u) < jitter.probability else () for o, u in zip(orders, uniforms[:, 0], strict=True)]


@each_type
@pytest.mark.parametrize("change", range(4), ids=lambda change: CHANGES[change].__name__)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_change_is_torchvisions_image_by_image(change, channels, dtype):
    strengths = [0.0] * 4
    strengths[change] = 0.5 if change == 3 else 1.3
    jitter, x = ColourJitter(*strengths, probability=1.0), images(80, channels, dtype)
    uniforms = jitter.draw(80, seeded())
    factors = jitter.factors(uniforms)[:, change].tolist()
    expected = torch.stack([CHANGES[change](image, factor) for image, factor in zip(x, factors, strict=True)])
    # A change of strength zero is not computed away, but rounds.
    tolerance = 1e-5 if dtype == torch.float32 else 1e-6
    torch.testing.assert_close(jitter.apply(x, uniforms), expected, rtol=0, atol=tolerance)


@each_type
@pytest.mark.parametrize("channels", [1, 3])
def test_all_changes_in_the_images_own_order_are_torchvisions(channels, dtype):
    jitter, x = ColourJitter(0.6, 0.5, 0.8, 0.2, probability=0.8), images(200, channels, dtype)
    uniforms = jitter.draw(200, seeded())
    expected = []
    for image, factors, order in zip(x, jitter.factors(uniforms).tolist(), order_of(jitter, uniforms), strict=True):
        changed = image
        for change in order:
            changed = CHANGES[change](changed, factors[change])
        expected.append(changed)
    torch.testing.assert_close(jitter.apply(x, uniforms), torch.stack(expected), rtol=0, atol=1e-5)


def test_every_order_is_equally_likely():
    jitter = ColourJitter(0.4, 0.4, 0.4, 0.1, probability=1.0)
    orders = order_of(jitter, jitter.draw(6000, seeded()))
    counts = torch.tensor([orders.count(order) for order in permutations(range(4))], dtype=torch.float64)
    assert counts.sum() == 6000
    assert float(((counts - 250) ** 2 / 250).sum()) < 23 + 4 * 46**0.5


def test_the_order_matters():
    """Else the laws above would not see it."""
    jitter, image = ColourJitter(0.9, 0.9, 0.9, 0.4, probability=1.0), images(1)
    uniforms = jitter.draw(1, seeded()).repeat(24, 1)
    uniforms[:, -4:] = torch.tensor(list(permutations((0.1, 0.2, 0.3, 0.4))))
    assert len(jitter.apply(image.expand(24, -1, -1, -1), uniforms).flatten(1).unique(dim=0)) > 12


def test_factors_are_uniform_between_their_limits():
    jitter = ColourJitter(0.4, 1.5, 0.2, 0.1)
    factors = jitter.factors(jitter.draw(20_000, seeded())).double()
    for values, (low, high) in zip(factors.unbind(1), [(0.6, 1.4), (0, 2.5), (0.8, 1.2), (-0.1, 0.1)], strict=True):
        spread = (high - low) / 12**0.5
        assert low - 1e-6 <= float(values.min()) < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < float(values.max()) <= high + 1e-6
        assert abs(float(values.mean()) - (low + high) / 2) < 4 * spread / 20_000**0.5
        assert float(values.std()) == pytest.approx(spread, rel=0.02)


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.8, 1.0])
def test_as_many_images_are_changed_as_asked(probability):
    x = images(1).expand(5000, -1, -1, -1)
    changed = (ColourJitter(0.5, 0.5, 0.5, 0.2, probability=probability)(x, seeded()) != x).flatten(1).any(1)
    assert abs(float(changed.float().mean()) - probability) <= 4 * (probability * (1 - probability) / 5000) ** 0.5


def test_without_strength_nothing_changes():
    x = images(40)
    torch.testing.assert_close(ColourJitter(0.0, 0.0, 0.0, 0.0, probability=1.0)(x, seeded()), x, rtol=0, atol=1e-14)


# Hue.


@each_type
@pytest.mark.parametrize("shift", [-0.5, -0.31, -0.1, 0.0, 0.07, 1 / 3, 0.5])
def test_hue_is_torchvisions(shift, dtype):
    x = images(30, dtype=dtype)
    expected = functional.adjust_hue(x, shift)
    torch.testing.assert_close(adjust_hue(x, torch.full((30,), shift, dtype=dtype)), expected, rtol=0, atol=1e-5)


def test_hues_form_a_circle():
    x = images(30)
    shifts = torch.linspace(-0.5, 0.5, 30, dtype=torch.float64)
    torch.testing.assert_close(adjust_hue(x, 0 * shifts), x, rtol=0, atol=1e-14)
    torch.testing.assert_close(adjust_hue(adjust_hue(x, shifts), -shifts), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(adjust_hue(x, shifts + 1), adjust_hue(x, shifts), rtol=0, atol=1e-12)
    third = torch.full((30,), 1 / 3, dtype=torch.float64)
    torch.testing.assert_close(adjust_hue(x, third), x.roll(1, dims=1), rtol=0, atol=1e-12)


# Grey.


@each_type
def test_grey_images_are_torchvisions_image_by_image(dtype):
    augmentation, x = RandomGrayscale(0.4), images(60, dtype=dtype)
    uniforms = augmentation.draw(60, seeded())
    expected = [
        functional.rgb_to_grayscale(image, num_output_channels=3) if float(number) < 0.4 else image
        for image, number in zip(x, uniforms, strict=True)
    ]
    torch.testing.assert_close(augmentation.apply(x, uniforms), torch.stack(expected), rtol=0, atol=1e-7)


def test_grey_images_stay_as_they_are():
    x = images(20, channels=1)
    assert torch.equal(RandomGrayscale(1.0)(x), x)


def test_a_fifth_of_the_images_become_grey():
    augmented = RandomGrayscale()(images(1).expand(5000, -1, -1, -1), seeded())
    rate = float((augmented[:, 0] == augmented[:, 1]).flatten(1).all(1).float().mean())
    assert abs(rate - 0.2) < 4 * (0.2 * 0.8 / 5000) ** 0.5
