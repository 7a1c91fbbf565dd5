"""What holds for every task: uniform labels, images transformed one by one, nothing hidden in the global state."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.tasks import PRESETS, create_task, list_tasks

NAMES = [*list_tasks(), "rotation5", "horizontal_flip+jigsaw+blur", "grayscale+rotation+colour_inversion"]
RANDOM = {("jigsaw", "fixed"), ("blur", "paper")}  # beside the label

each_name = pytest.mark.parametrize("name", NAMES)
each_preset = pytest.mark.parametrize("preset", PRESETS)


def each_case(holds):
    cases = [(name, preset) for name in NAMES for preset in PRESETS if holds(name, preset)]
    return pytest.mark.parametrize(("name", "preset"), cases)


def colour_images(count: int = 12, *, size: int = 16, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(count, 3, size, size, dtype=torch.float64).to(dtype)


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Labels.


@each_name
def test_labels_are_uniform(name):
    task = create_task(name)
    draws, seed = 200 * task.num_labels, seeded()
    labels = task.sample(draws, seed)
    joint = task.joint(labels) if labels.dim() == 2 else labels
    counts = joint.bincount(minlength=task.num_labels).double()
    assert len(counts) == task.num_labels
    chi_squared, freedom = float(((counts - 200) ** 2 / 200).sum()), task.num_labels - 1
    assert chi_squared <= freedom + 4 * (2 * freedom) ** 0.5


@each_name
@each_preset
def test_a_generator_determines_labels_and_images(name, preset):
    task, images = create_task(name, preset=preset), colour_images()
    (labels, first), (again, second) = (
        (drawn := task.sample(12, generator), task.apply(images, drawn, generator))
        for generator in (seeded(), seeded())
    )
    assert torch.equal(labels, again)
    assert torch.equal(first, second)


@pytest.mark.parametrize(("name", "preset"), sorted(RANDOM))
def test_what_is_random_beside_the_label_differs_between_images_and_seeds(name, preset):
    task = create_task(name, preset=preset)
    images = colour_images(1).expand(12, -1, -1, -1)
    labels = torch.full((12,), 3)
    first, second = (task.apply(images, labels, seeded(seed)) for seed in (1, 2))
    assert not torch.equal(first, second)
    assert len(first.unique(dim=0)) > 6


@each_name
@each_preset
def test_without_a_generator_the_global_one_is_used(name, preset):
    task, images = create_task(name, preset=preset), colour_images()
    torch.manual_seed(3)
    labels = task.sample(12)
    first = task.apply(images, labels)
    torch.manual_seed(3)
    assert torch.equal(task.sample(12), labels)
    assert torch.equal(task.apply(images, labels), first)


# Images.


# Of several tasks at once, each draws for the whole batch in turn.
@each_case(lambda name, preset: "+" not in name or not any((part, preset) in RANDOM for part in name.split("+")))
def test_a_batch_is_transformed_as_its_images_one_by_one(name, preset):
    """Also what is random: the draws do not depend on which labels and images share the batch."""
    task, images = create_task(name, preset=preset), colour_images(40)
    labels = task.sample(40, seeded(2))
    together, alone = task.apply(images, labels, seeded()), seeded()
    for i in range(40):
        one = task.apply(images[i : i + 1], labels[i : i + 1], alone)
        torch.testing.assert_close(together[i : i + 1], one, rtol=0, atol=1e-12)


@each_name
@each_preset
def test_apply_is_transform_for_images_of_one_label(name, preset):
    task, images = create_task(name, preset=preset), colour_images(3)
    for label in {0, task.num_labels // 2, task.num_labels - 1}:
        transformed = task.transform(images, label, seeded())
        labels = next(drawn for drawn in _all_labels(task) if _joint(task, drawn) == label)
        assert torch.equal(task.apply(images, labels.expand(3, *labels.shape[1:]), seeded()), transformed)


# Where sigma is small, the paper's kernels of 5, 9 and 15 pixels are the same.
@each_case(lambda name, preset: not ("blur" in name and preset == "paper"))
def test_different_labels_make_different_images(name, preset):
    task, image = create_task(name, preset=preset), colour_images(1)
    results = [task.apply(image, labels, seeded()).flatten() for labels in _all_labels(task)]
    assert len(torch.stack(results).unique(dim=0)) == task.num_labels


@each_name
@each_preset
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_images_keep_their_dtype_and_shape_and_are_not_changed(name, preset, dtype):
    task, images = create_task(name, preset=preset), colour_images(dtype=dtype)
    before = images.clone()
    transformed = task.apply(images, task.sample(12))
    assert transformed.dtype == dtype
    assert transformed.shape == images.shape
    assert torch.equal(images, before)
    exact = task.apply(images.double(), labels := task.sample(12), seeded())
    rounding = torch.finfo(dtype).eps * 4
    torch.testing.assert_close(task.apply(images, labels, seeded()).double(), exact, rtol=rounding, atol=rounding)


@each_name
@each_preset
def test_images_stay_on_their_device_and_labels_on_the_cpu(name, preset):
    task = create_task(name, preset=preset)
    device = "cuda" if torch.cuda.is_available() else "meta"
    images, labels = colour_images(), task.sample(12, seeded())
    assert labels.device.type == "cpu"
    there = task.apply(images.to(device), labels, seeded())
    assert there.device.type == device
    assert there.shape == images.shape
    if device == "cuda":
        torch.testing.assert_close(there.cpu(), task.apply(images, labels, seeded()), rtol=0, atol=1e-10)


@each_name
@each_preset
@pytest.mark.parametrize("channels", [1, 3])
def test_an_empty_batch_has_the_shape_of_what_it_would_become(name, preset, channels):
    task, images = create_task(name, preset=preset, to_rgb=True), torch.rand(2, channels, 16, 16)
    full = task.apply(images, task.sample(2))
    assert task.apply(images[:0], task.sample(0)).shape == (0, *full.shape[1:])


@each_name
def test_gradients_flow_to_the_images(name):
    task, images = create_task(name), colour_images(2).requires_grad_()
    task.apply(images, task.sample(2)).sum().backward()
    assert images.grad.isfinite().all()


# Errors.


@each_name
@pytest.mark.usefixtures("no_shape_checks")
def test_bytes_are_refused(name):
    task = create_task(name)
    message = (
        "images must be floating point with values in [0, 1]; got torch.uint8. Convert bytes with images.float() / 255."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        task.apply(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), task.sample(2))


@each_name
@pytest.mark.usefixtures("no_shape_checks")
def test_a_single_image_without_a_batch_axis_is_refused(name):
    task = create_task(name)
    with pytest.raises(ValueError, match=r"^images must have the shape \(batch, .* got \(3, 16, 16\)\. Add a missing"):
        task.apply(torch.zeros(3, 16, 16), task.sample(3))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            torch.zeros(3, dtype=torch.long),
            "rotation needs one label an image; got 2 images and labels of the shape (3,). "
            "Draw them with task.sample(len(images)).",
        ),
        (
            torch.zeros(2, 1, dtype=torch.long),
            "rotation needs one label an image; got 2 images and labels of the shape (2, 1). "
            "Draw them with task.sample(len(images)).",
        ),
        (
            torch.tensor([0, 4]),
            "labels of rotation lie in 0 .. 3; got 0 .. 4. Draw them with task.sample(len(images)).",
        ),
        (
            torch.tensor([-1, 2]),
            "labels of rotation lie in 0 .. 3; got -1 .. 2. Draw them with task.sample(len(images)).",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_wrong_labels_are_answered_in_one_sentence(labels, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        create_task("rotation").apply(torch.zeros(2, 3, 8, 8), labels)


@pytest.mark.parametrize("name", ["jigsaw", "blur"])
@pytest.mark.usefixtures("no_shape_checks")
def test_tasks_of_their_own_apply_check_labels_too(name):
    task = create_task(name)
    with pytest.raises(ValueError, match=rf"^labels of {name} lie in 0 \.\. {task.num_labels - 1}; got "):
        task.apply(torch.zeros(1, 3, 16, 16), torch.tensor([task.num_labels]))
    with pytest.raises(ValueError, match=rf"^{name} needs one label an image; got 1 images and labels of the shape"):
        task.apply(torch.zeros(1, 3, 16, 16), torch.tensor([0, 0]))


def _all_labels(task) -> list[torch.Tensor]:
    if not hasattr(task, "sizes"):
        return list(torch.arange(task.num_labels)[:, None])
    return list(torch.cartesian_prod(*(torch.arange(size) for size in task.sizes))[:, None])


def _joint(task, labels: torch.Tensor) -> int:
    return int(task.joint(labels) if labels.dim() == 2 else labels)
