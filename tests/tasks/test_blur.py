"""Blur is torchvision's, image by image, with a sigma of each image's own."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from torchvision.transforms.v2 import functional as v2

from eqmodels.tasks import Blur, BlurLevel
from eqmodels.tasks.blur import BLUR_BY_KERNEL, BLUR_BY_SIGMA, blur, gaussian_kernels


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(16, 16), (8, 21)], ids=str)
def test_kernels_of_their_own_are_torchvisions_image_by_image(dtype, shape):
    images = torch.rand(24, 3, *shape, dtype=dtype)
    sigmas = torch.empty(24, dtype=torch.float64).uniform_(0.1, 3)
    radii = torch.arange(24) % 8
    blurred = blur(images, gaussian_kernels(sigmas, radii, 7))
    for i, (sigma, radius) in enumerate(zip(sigmas.tolist(), radii.tolist(), strict=True)):
        expected = v2.gaussian_blur(images[i], [2 * radius + 1] * 2, [sigma] * 2)
        torch.testing.assert_close(blurred[i], expected, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-13)


def test_label_a_has_sigma_a():
    images = torch.rand(4, 3, 32, 32, dtype=torch.float64)
    blurred = Blur().apply(images, torch.arange(4))
    assert torch.equal(blurred[0], images[0])
    for label, (sigma, kernel) in enumerate([(0.5, 5), (1.0, 7), (2.0, 13)], start=1):
        expected = v2.gaussian_blur(images[label], [kernel, kernel], [sigma, sigma])
        torch.testing.assert_close(blurred[label], expected, rtol=0, atol=1e-13)


def test_by_kernel_each_image_has_a_sigma_that_torchvision_could_have_drawn():
    """The blurred impulse tells its sigma: the ratio of its centre to its neighbour."""
    impulse = torch.zeros(2000, 1, 33, 33, dtype=torch.float64)
    impulse[:, :, 16, 16] = 1
    for label, kernel in [(1, 5), (2, 9), (3, 15)]:
        blurred = Blur(BLUR_BY_KERNEL).transform(impulse, label, torch.Generator().manual_seed(label))
        ratio = blurred[:, 0, 16, 16] / blurred[:, 0, 16, 17]
        sigma = (2 * ratio.log()).rsqrt()
        assert sigma.min() > 0.1
        assert sigma.max() < 2
        assert abs(float(sigma.mean()) - 1.05) < 0.05
        assert abs(float(sigma.std()) - 1.9 / 12**0.5) < 0.03
        assert int((blurred[sigma > 1].amax((0, 1, 2)) > 0).sum()) == kernel


def test_by_kernel_labels_can_hardly_be_told_where_sigma_is_small():
    """Why the preset "fixed" is by sigma."""
    kernels = gaussian_kernels(torch.full((3,), 0.8, dtype=torch.float64), torch.tensor([2, 4, 7]), 7)
    torch.testing.assert_close(kernels, kernels[:1].expand_as(kernels), rtol=0, atol=1e-3)


def test_by_sigma_nothing_is_drawn():
    before = torch.get_rng_state()
    Blur().apply(torch.rand(3, 1, 16, 16, generator=torch.Generator()), torch.tensor([1, 2, 3]))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("levels", [BLUR_BY_SIGMA, BLUR_BY_KERNEL])
def test_a_constant_image_stays_and_the_mean_of_the_kernel_is_one(levels):
    images = torch.full((4, 3, 16, 16), 0.3, dtype=torch.float64)
    torch.testing.assert_close(Blur(levels).apply(images, torch.arange(4)), images)


def test_higher_labels_by_sigma_are_smoother():
    image = torch.rand(1, 1, 32, 32, dtype=torch.float64).expand(4, -1, -1, -1)
    variances = Blur().apply(image, torch.arange(4)).var((1, 2, 3)).tolist()
    for sharper, smoother in itertools.pairwise(variances):
        assert smoother < 0.6 * sharper


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.7])
def test_a_fixed_level_reaches_three_sigma(sigma):
    kernel = BlurLevel.fixed(sigma).kernel
    assert kernel % 2
    assert 3 * sigma <= kernel // 2 < 3 * sigma + 1
    assert BlurLevel.fixed(0.0).kernel == 1


def test_an_image_as_large_as_the_reflection_is_enough_and_one_smaller_is_refused():
    task = Blur(BLUR_BY_KERNEL)
    assert task.apply(torch.rand(1, 1, 8, 9), torch.tensor([3])).shape == (1, 1, 8, 9)
    message = (
        "blur with a kernel of 15 reflects 7 pixels at the border, so both sides need at least 8; got 9 x 7. "
        "Resize the images or use smaller kernels."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        task.apply(torch.rand(1, 1, 9, 7), torch.tensor([0]))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: BlurLevel(4, (1.0, 1.0)),
            "kernel must be an odd number of pixels, 1 for no blur; got 4. Pass, say, 5.",
        ),
        (lambda: BlurLevel(-1, (1.0, 1.0)), "kernel must be an odd number of pixels, 1 for no blur; got -1."),
        (lambda: BlurLevel(5, (0.0, 1.0)), "sigma must be bounds 0 < lowest <= highest; got 0.0, 1.0. Pass, say,"),
        (lambda: BlurLevel(5, (2.0, 1.0)), "sigma must be bounds 0 < lowest <= highest; got 2.0, 1.0. Pass, say,"),
        (lambda: Blur(()), "levels must hold at least one BlurLevel; got none. Leave it out for the usual four."),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_impossible_arguments_are_answered_in_one_sentence(build, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        build()
