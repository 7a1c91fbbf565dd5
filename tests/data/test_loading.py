"""Data sets by name: which there are, their options, and what is refused in one sentence."""

from __future__ import annotations

import re

import pytest
import torch

from eqmodels.data import SOURCES, LabelledImages, list_data, load_data, register_source
from eqmodels.options import REQUIRED, options_of

NAMES = [
    "array",
    "chemical_structures",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "fashion_mnist_mini",
    "furniture",
    "hf_disk",
    "image_folder",
    "imagenet",
    "kicad_parts",
    "kicad_parts_mini",
    "mnist",
    "modelnet40",
]
NAMES += ["openclipart", "openclipart_mini", "point_folder", "qm9", "scanobjectnn", "shards", "stl10", "table"]


def test_the_names():
    assert list_data() == NAMES
    assert list_data("*mnist") == ["fashion_mnist", "mnist"]


def test_every_option_has_a_default_and_a_help():
    for name in NAMES:
        options = options_of(SOURCES.find(name), without=("split",))
        assert "root" in options
        assert all(option.help and option.default is not REQUIRED for option in options.values())


def test_a_function_of_ones_own_is_loaded_with_its_options():
    @register_source("shades")
    def shades(split, *, root=None, shade: int = 3):
        images = torch.full((4, 1, 2, 2), shade + (split == "test"), dtype=torch.uint8)
        return LabelledImages(f"shades of {root}", images, torch.full((4,), -1), ())

    assert "shades" in list_data()
    assert load_data("shades", "test", shade=7, root="x").pixels(slice(0, 1)).unique().item() == pytest.approx(8 / 255)
    assert load_data("shades", root=None, shade=None).pixels(slice(0, 1)).unique().item() == pytest.approx(3 / 255)
    assert load_data("shades", root="here").name == "shades of here"
    with pytest.raises(
        TypeError, match=r"^data 'shades' has no option 'shad'; its options are root, shade\. Use 'shad"
    ):
        load_data("shades", shad=1)
    with pytest.raises(TypeError, match=r"^shade must be an integer; got 'dark'\. Use 3\.$"):
        load_data("shades", shade="dark")
    with pytest.raises(ValueError, match=r"^shade is for shades only; got 1 for mnist\. Leave it out \(--shade\)\.$"):
        load_data("mnist", shade=1)


def test_what_is_registered_must_give_a_source():
    register_source("nothing")(lambda split: [1, 2])
    with pytest.raises(TypeError, match=r"^nothing must be a Source, with name, .*; got list without name, channels, "):
        load_data("nothing")


# What is refused.


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("cifar1000", "'cifar100' or 'cifar10'"), ("fashionmnist", "'fashion_mnist' or 'fashion_mnist_mini'")],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, nearest):
    message = f"data must be one of {', '.join(NAMES)}; got {name!r}. Use {nearest}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        load_data(name)


@pytest.mark.parametrize("name", ["fashion_mnist_mini", "mnist"])
@pytest.mark.usefixtures("no_shape_checks")
def test_an_unknown_split_is_refused(name):
    with pytest.raises(
        ValueError, match=r"^split must be 'train', 'test' or 'validation'; got 'valid'\. Use 'train'\.$"
    ):
        load_data(name, "valid")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "fashion_mnist_mini",
            {"size": 32},
            "size is for hf_disk, image_folder, imagenet, openclipart, shards, table only; got 32 for fashion_mnist",
        ),
        (
            "mnist",
            {"size": 32},
            "size is for hf_disk, image_folder, imagenet, openclipart, shards, table only; got 32 for mnist. Leave",
        ),
        (
            "image_folder",
            {"download": False},
            "download is for cifar10, cifar100, fashion_mnist, mnist, stl10 only; got False for image_folder. Leave it "
            "out (--download).",
        ),
        (
            "fashion_mnist_mini",
            {"root": "photos"},
            "fashion_mnist_mini is part of the package and has no folder; got root='photos'. Leave it out (--root), or "
            "name the data that lies there (--data fashion_mnist, --data image_folder).",
        ),
    ],
)
def test_an_option_of_no_effect_is_refused(name, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        load_data(name, **options)


def test_a_size_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"^size must be an integer; got '64'\."):
        load_data("image_folder", root=tmp_path, size="64")
