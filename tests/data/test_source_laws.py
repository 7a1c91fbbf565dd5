"""What holds for every source: those that are registered, and those that are made of another one."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import torch

from eqmodels.data import (
    LabelledImages,
    Source,
    at_most,
    at_size,
    balanced_subset,
    check_source,
    coloured,
    has_colour,
    in_memory,
    in_parts,
    is_labelled,
    list_data,
    load_data,
    numbers_of,
    source,
    statistics,
    subset,
    to_grey,
    to_rgb,
)
from eqmodels.data.levels import to_levels
from tests.data.files import (
    write_array,
    write_cifar,
    write_hf_disk,
    write_idx,
    write_image_folder,
    write_imagenet,
    write_openclipart,
    write_shards,
    write_stl10,
)
from tests.data.molecule_files import write_qm9, write_structures
from tests.data.space_files import write_furniture, write_kicad, write_modelnet, write_points, write_scanobjectnn

SPACE = {
    "furniture": write_furniture,
    "kicad_parts": write_kicad,
    "modelnet40": write_modelnet,
    "point_folder": write_points,
    "scanobjectnn": write_scanobjectnn,
}
"""What writes small files of each source of clouds."""


@dataclass(frozen=True)
class Unkept:
    """Images that are made each time they are asked for, and that no tensor holds."""

    count: int = 60
    channels: int = 1
    size: tuple[int, int] = (5, 7)
    classes: tuple[str, ...] = ("one", "two", "three", "four")
    steps: int = 255
    name: str = "made"

    def __len__(self) -> int:
        return self.count

    @property
    def labels(self) -> torch.Tensor:
        numbers = torch.arange(self.count)
        return numbers.flip(0) % len(self.classes) if self.classes else torch.full_like(numbers, -1)

    def pixels(self, indices: torch.Tensor | slice) -> torch.Tensor:
        return torch.stack([self.image(number) for number in numbers_of(indices, self.count).tolist()])

    def image(self, number: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(number)
        levels = torch.randint(self.steps + 1, (self.channels, *self.size), generator=generator)
        return levels.float() / self.steps


def written(name, folder, monkeypatch) -> dict[str, object]:
    """Small files of a registered data set, and the options that read them."""
    options: dict[str, object] = {"root": folder, "download": False}
    if name.endswith("_mini"):
        options = {}
    elif name in ("mnist", "fashion_mnist"):
        write_idx(folder, "torchvision", name={"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[name])
    elif name == "stl10":
        write_stl10(folder, monkeypatch)
    elif name == "image_folder":
        write_image_folder(folder)
        options = {"root": folder, "size": 5}
    elif name == "imagenet":
        write_imagenet(folder)
        options = {"root": folder, "size": 5}
    elif name == "openclipart":
        write_openclipart(folder)
        options = {"root": folder, "size": 5}
    elif name == "table":
        write_image_folder(folder)
        rows = [(path.relative_to(folder), path.parent.name, path.parts[-3]) for path in folder.rglob("*.png")]
        lines = [f"{path},{label},{split}\n" for path, label, split in rows]
        (folder / "table.csv").write_text("".join(["path,label,split\n", *lines]))
        options = {"root": folder / "table.csv"}
    elif name in SPACE:
        SPACE[name](folder)
        options = {"root": folder, "points": 20}
    elif name in ("chemical_structures", "qm9"):
        {"chemical_structures": write_structures, "qm9": write_qm9}[name](folder)
        options = {"root": folder}
    elif name in ("array", "shards", "hf_disk"):
        {"array": write_array, "shards": write_shards, "hf_disk": write_hf_disk}[name](folder / name)
        options = {"root": folder / name}
    else:
        write_cifar(folder, name, monkeypatch)
    return options


VIEWS = {
    "made": Unkept,
    "in memory": lambda: in_memory(Unkept()),
    "subset": lambda: subset(Unkept(), [7, 2, 2, 31]),
    "balanced": lambda: balanced_subset(Unkept(), 22, seed=1),
    "subset of a subset": lambda: at_most(subset(Unkept(), range(10, 50)), 12),
    "coloured": lambda: coloured(Unkept(), seed=1),
    "rgb": lambda: to_rgb(Unkept()),
    "grey": lambda: to_grey(Unkept(channels=3)),
    "resized": lambda: at_size(Unkept(), (9, 7)),
    "unlabelled": lambda: at_most(Unkept(classes=()), 20),
    "of 16 bits": lambda: Unkept(steps=65535),
}


@pytest.fixture(params=[*list_data(), *VIEWS])
def each(request, tmp_path, monkeypatch) -> Source:
    """Every registered data set, by small files where it reads files, and every view of another source."""
    if request.param in VIEWS:
        return VIEWS[request.param]()
    return load_data(request.param, "test", **written(request.param, tmp_path, monkeypatch))


# The protocol.


def test_every_source_satisfies_the_protocol(each):
    assert check_source(each) is each
    assert isinstance(each.name, str)
    assert all(isinstance(name, str) for name in each.classes)


def test_pixels_are_float32_in_0_to_1_of_the_shape_that_is_said(each):
    total = 0
    for part, pixels in in_parts(each):
        assert pixels.dtype == torch.float32
        assert pixels.shape == (part.stop - part.start, each.channels, *each.size)
        assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1
        total += len(pixels)
    assert total == len(each)


def test_an_image_is_the_same_however_it_is_asked_for(each):
    numbers = torch.tensor([len(each) - 1, 0, 1, 1])
    pixels = each.pixels(numbers)
    assert torch.equal(pixels[1:3], each.pixels(slice(0, 2)))
    assert torch.equal(pixels[2], pixels[3])
    assert torch.equal(pixels[:1], each.pixels(slice(len(each) - 1, None)))


def test_there_is_one_label_an_image(each):
    assert each.labels.shape == (len(each),)
    assert each.labels.dtype == torch.int64
    if is_labelled(each):
        assert 0 <= int(each.labels.min()) <= int(each.labels.max()) < len(each.classes)
    else:
        assert set(each.labels.tolist()) == {-1}


def test_a_subset_has_the_images_and_labels_of_its_numbers(each):
    numbers = torch.tensor([1, len(each) - 1, 0, 1])
    chosen = subset(each, numbers)
    assert torch.equal(chosen.pixels(slice(0, 4)), each.pixels(numbers))
    assert torch.equal(chosen.pixels(torch.tensor([2, 0])), each.pixels(numbers[[2, 0]]))
    assert torch.equal(chosen.labels, each.labels[numbers])
    assert (chosen.classes, chosen.size, chosen.channels, chosen.name) == (
        each.classes,
        each.size,
        each.channels,
        each.name,
    )
    assert torch.equal(subset(each, [-1]).pixels(slice(None)), each.pixels(torch.tensor([len(each) - 1])))


def test_statistics_do_not_depend_on_the_parts(each, monkeypatch):
    means, deviations = statistics(each)
    pixels = torch.cat([part for _, part in in_parts(each)]).double()
    monkeypatch.setattr(source, "PART", 3 * each.channels * each.size[0] * each.size[1])
    assert len(next(in_parts(each))[1]) == min(3, len(each))
    torch.testing.assert_close(torch.tensor(means).double(), pixels.mean((0, 2, 3)), rtol=1e-5, atol=1e-7)
    expected = pixels.transpose(0, 1).flatten(1).std(1, correction=0)
    torch.testing.assert_close(torch.tensor(deviations).double(), expected.where(expected > 0, 1.0), rtol=1e-5, atol=0)
    if bool((to_levels(pixels).double() / 255 - pixels).abs().max() < 1e-7):  # then sums are exact
        assert statistics(each) == (means, deviations)
    else:
        assert statistics(each)[0] == pytest.approx(means, rel=1e-14)
        assert statistics(each)[1] == pytest.approx(deviations, rel=1e-12)


# A source in memory and one of the same images that is not agree to the last bit.


def both(**changes) -> tuple[LabelledImages, Unkept]:
    unkept = Unkept(**changes)
    return in_memory(unkept), unkept


def assert_same(one: Source, other: Source) -> None:
    assert (one.name, one.size, one.channels, one.classes) == (other.name, other.size, other.channels, other.classes)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.pixels(slice(None)), other.pixels(slice(None)))
    some = torch.tensor([3, 1, 1, 0])
    assert torch.equal(one.pixels(some), other.pixels(some))


@pytest.mark.parametrize(
    ("of_memory", "of_any", "channels"),
    [
        (lambda data: data, lambda data: data, 3),
        (lambda data: data.subset([5, 2, 40, 41]), lambda data: subset(data, [5, 2, 40, 41]), 1),
        (lambda data: data.balanced_subset(22, seed=3), lambda data: balanced_subset(data, 22, seed=3), 1),
        (lambda data: data.at_most(20, seed=1), lambda data: at_most(data, 20, seed=1), 2),
        (lambda data: data.at_most(None), lambda data: at_most(data, None), 1),
        (lambda data: data.coloured(seed=4), lambda data: coloured(data, seed=4), 1),
        (lambda data: data.to_rgb(), to_rgb, 1),
        (lambda data: data.to_rgb(), to_rgb, 2),
        (lambda data: data.to_grey(), to_grey, 3),
        (lambda data: data.to_grey(), to_grey, 1),
        (
            lambda data: data.balanced_subset(40).coloured(seed=2).at_most(8),
            lambda data: at_most(coloured(balanced_subset(data, 40), seed=2), 8),
            1,
        ),
    ],
)
def test_what_is_made_in_memory_and_what_is_not_agree(of_memory, of_any, channels):
    kept, unkept = both(channels=channels)
    assert_same(of_memory(kept), of_any(unkept))
    assert_same(of_any(kept), of_any(unkept))


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_in_memory_and_elsewhere_are_equal(channels):
    kept, unkept = both(channels=channels)
    assert kept.statistics() == statistics(kept) == statistics(unkept)
    assert kept.has_colour == has_colour(unkept) == (channels == 3)
    assert not has_colour(to_rgb(Unkept()))


def test_statistics_of_8_bits_are_those_of_the_counted_levels():
    """The formula of integers, which runs that exist were normalised by."""
    images = in_memory(Unkept(channels=3)).images
    for channel, (mean, deviation) in enumerate(zip(*statistics(Unkept(channels=3)), strict=True)):
        levels = images[:, channel].flatten().tolist()
        number, total, squares = len(levels), sum(levels), sum(level**2 for level in levels)
        assert mean == total / number / 255
        assert deviation == (number * squares - total**2) ** 0.5 / number / 255


def test_a_constant_channel_has_the_deviation_1_whatever_its_bits():
    @dataclass(frozen=True)
    class Flat(Unkept):
        def image(self, number: int) -> torch.Tensor:
            return torch.full((1, 5, 7), 0.3)

    assert statistics(Flat()) == (pytest.approx((0.3,), rel=1e-6), (1.0,))


# Images that nobody labelled.


def test_a_subset_of_unlabelled_images_is_drawn_from_all():
    data = Unkept(classes=())
    first, again, other = (balanced_subset(data, 25, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.numbers, again.numbers)
    assert not torch.equal(first.numbers, other.numbers)
    assert first.numbers.unique().tolist() == first.numbers.tolist()
    assert len(first) == 25
    assert balanced_subset(data, 61).numbers.tolist() == list(range(60))


@dataclass(frozen=True)
class Uneven(Unkept):
    """Images of which classes have 0, 1, 2, 57 and 0."""

    classes: tuple[str, ...] = ("none", "one", "two", "many", "nor this")

    @property
    def labels(self) -> torch.Tensor:
        return torch.tensor([1, 2, 2, *[3] * (self.count - 3)])


@pytest.mark.parametrize(
    ("count", "counts"),
    [(1, (1, 0, 0)), (2, (1, 1, 0)), (4, (1, 2, 1)), (7, (1, 2, 4)), (60, (1, 2, 57)), (99, (1, 2, 57))],
)
def test_a_class_that_has_few_gives_all_and_the_others_make_up_for_it(count, counts):
    chosen = balanced_subset(Uneven(), count, seed=1)
    assert tuple(chosen.labels.bincount(minlength=5).tolist()) == (0, *counts, 0)
    assert chosen.numbers.unique().tolist() == chosen.numbers.tolist()
    assert len(at_most(Uneven(), count)) == min(count, 60)
    assert balanced_subset(Unkept(classes=("alone",)), 7).labels.tolist() == [0] * 7


# What is refused.


@dataclass(frozen=True)
class Spoilt(Unkept):
    """A source that says what it is not."""

    spoilt_labels: torch.Tensor | None = None
    spoilt_pixels: torch.Tensor | None = None

    @property
    def labels(self) -> torch.Tensor:
        return super().labels if self.spoilt_labels is None else self.spoilt_labels

    def pixels(self, indices: torch.Tensor | slice) -> torch.Tensor:
        return super().pixels(indices) if self.spoilt_pixels is None else self.spoilt_pixels


@pytest.mark.parametrize(
    ("spoilt", "error", "message"),
    [
        (
            torch.zeros(3),
            TypeError,
            "it must be a Source, with name, channels, size, labels, classes, __len__, pixels;",
        ),
        (Spoilt(count=0), ValueError, "it must have images; got none. Name a folder or a split that has some."),
        (
            Spoilt(spoilt_labels=torch.zeros(60)),
            TypeError,
            "labels of it must be int64; got torch.float32. Convert them with .long().",
        ),
        (
            Spoilt(spoilt_labels=torch.zeros(59, dtype=torch.int64)),
            ValueError,
            "labels of it must be (60,), one an image; got (59,). Give each image one.",
        ),
        (
            Spoilt(classes=("one",), spoilt_labels=torch.arange(60)),
            ValueError,
            "labels of it must name one of its 1 classes; got 0 .. 59. Number them from 0, and name every class.",
        ),
        (
            Spoilt(classes=(), spoilt_labels=torch.arange(60)),
            ValueError,
            "labels of it must all be -1, as it has no classes; got 0 .. 59. Number them",
        ),
        (
            Spoilt(spoilt_pixels=torch.zeros(1, 1, 5, 7, dtype=torch.uint8)),
            TypeError,
            "pixels of it must be float32 in [0, 1]; got torch.uint8. Scale them so.",
        ),
        (
            Spoilt(spoilt_pixels=torch.full((1, 1, 5, 7), 255.0)),
            ValueError,
            "the first image of it must be (1, 1, 5, 7), in [0, 1], as its channels and size say; got (1, 1, 5, 7) "
            "from 255 to 255. Correct pixels.",
        ),
        (
            Spoilt(spoilt_pixels=torch.full((1, 1, 5, 7), torch.nan)),
            ValueError,
            "the first image of it must be (1, 1, 5, 7), in [0, 1], as its channels and size say; got (1, 1, 5, 7) "
            "from nan to nan. Correct pixels.",
        ),
        (
            Spoilt(size=(0, 7), spoilt_pixels=torch.zeros(1, 1, 0, 7)),
            ValueError,
            "images of it must have channels and pixels; got (1, 1, 0, 7). Leave empty ones out.",
        ),
        (
            Spoilt(spoilt_pixels=torch.zeros(1, 1, 7, 5)),
            ValueError,
            "the first image of it must be (1, 1, 5, 7), in [0, 1], as its channels and size say; got (1, 1, 7, 5)",
        ),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_is_no_source_is_refused_in_one_sentence(spoilt, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        check_source(spoilt, "it")


@pytest.mark.parametrize("number", [60, -61])
def test_a_number_of_no_image_is_refused(number):
    with pytest.raises(IndexError, match=rf"^images are numbered 0 \.\. 59; got {number} \.\. {number}\. Ask for"):
        subset(Unkept(), [number])


def test_numbers_of_a_slice_a_mask_and_from_the_end():
    assert numbers_of(slice(2, 9, 3), 6).tolist() == [2, 5]
    assert numbers_of(torch.tensor([True, False, True]), 3).tolist() == [0, 2]
    assert numbers_of(torch.tensor([-1, 0]), 6).tolist() == [5, 0]


def test_what_would_lose_bits_is_read_into_memory_as_floats():
    for steps, dtype in ((255, torch.uint8), (65535, torch.float32)):
        source = Unkept(steps=steps)
        data = in_memory(source)
        assert data.images.dtype == dtype
        assert torch.equal(data.pixels(), source.pixels(slice(None)))
