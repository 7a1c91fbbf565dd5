"""ImageNet's folders, as its archives have them."""

from __future__ import annotations

import pytest
import torch

from eqmodels.data import load_data
from eqmodels.transforms import Resize
from tests.data.files import write_imagenet


def test_train_and_val_of_its_archives_with_classes_by_the_names_of_their_folders(tmp_path):
    write_imagenet(tmp_path)
    (tmp_path / "ILSVRC/Data/CLS-LOC/test").mkdir()  # of no use: nobody has the labels
    train, test = (load_data("imagenet", split, root=tmp_path, size=5) for split in ("train", "test"))
    assert (len(train), len(test)) == (10, 6)
    assert train.classes == test.classes == ("n01440764", "n01443537")
    assert test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert train.name == "imagenet"


def test_pictures_are_seen_as_classifiers_see_them(tmp_path):
    write_imagenet(tmp_path, side=64)
    closer, whole = (
        load_data("imagenet", "test", root=tmp_path, size=7, resize=rule).pixels(torch.arange(1))
        for rule in ("crop_7_8", "crop")
    )
    assert closer.shape == whole.shape == (1, 3, 7, 7)
    assert not torch.equal(closer, whole)
    # Seven eighths of 64 pixels are the 56 in the middle.
    pixels = torch.rand(3, 64, 64)
    found, cut = Resize((7, 7), "crop_7_8")(pixels), Resize((7, 7), "crop")(pixels[:, 4:-4, 4:-4])
    # At the rim antialiasing sees what lies just outside.
    torch.testing.assert_close(found[:, 1:-1, 1:-1], cut[:, 1:-1, 1:-1])


def test_what_is_not_unpacked_so_is_refused(tmp_path):
    with pytest.raises(ValueError, match="imagenet needs the folder that has its train and val"):
        load_data("imagenet", "test")
    with pytest.raises(FileNotFoundError, match="has no folders train and val"):
        load_data("imagenet", "test", root=tmp_path)
    write_imagenet(tmp_path)
    val = tmp_path / "ILSVRC/Data/CLS-LOC/val"
    next(val.glob("*/*")).rename(val / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(FileNotFoundError, match="must have all its pictures in folders of their classes"):
        load_data("imagenet", "test", root=tmp_path)
