"""Data sets of Hugging Face on the disk: their images, read as those of files are."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from eqmodels.data import hf_disk, load_data
from eqmodels.data.pictures import BadFilesError, LeftOutWarning
from eqmodels.transforms import Pixels
from tests.data.files import png, write_hf_disk


def save(root, rows, **features):
    """A data set of one split."""
    made = datasets.Dataset.from_dict(rows, features=datasets.Features({"image": datasets.Image(), **features}))
    made.save_to_disk(root)
    return root


def test_splits_images_and_classes_are_those_that_it_has(tmp_path):
    images = torch.from_numpy(write_hf_disk(tmp_path / "set"))
    train, test = (load_data("hf_disk", split, root=tmp_path / "set") for split in ("train", "test"))
    assert torch.equal(train.images, images[:6])
    assert torch.equal(test.images, images[6:])
    assert train.classes == test.classes == ("bee", "ant")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1] * 3, [0, 1, 0])
    assert train.name == "hf_disk:set"
    assert load_data("hf_disk", root=tmp_path / "set", label_column="-", size=3).images.shape == (6, 3, 3, 3)
    with pytest.raises(ValueError, match=r"has no column 'sex' among kind\. Name another by label_column="):
        load_data("hf_disk", root=tmp_path / "set", label_column="sex")
    with pytest.raises(
        ValueError, match=r"must have a column of images 'kind'; it has picture \(Image\), kind \(Class"
    ):
        load_data("hf_disk", root=tmp_path / "set", image_column="kind")


def test_one_split_is_divided_and_labels_may_be_words(tmp_path):
    rows = {
        "image": [{"bytes": png(n)[1], "path": None} for n in range(40)],
        "label": [f"of {n % 3}" for n in range(40)],
    }
    save(tmp_path / "set", rows, label=datasets.Value("string"))
    train, test = (load_data("hf_disk", split, root=tmp_path / "set") for split in ("train", "test"))
    assert len(train) + len(test) == 40
    assert 2 <= len(test) <= 16
    assert train.classes == test.classes == ("of 0", "of 1", "of 2")
    everything = {bytes(image.numpy().tobytes()) for image in (*train.images, *test.images)}
    assert everything == {png(number)[0].tobytes() for number in range(40)}


def test_a_class_is_made_of_one_of_several_columns_or_of_more(tmp_path):
    kinds = datasets.ClassLabel(names=["bee", "ant"])
    rows = {
        "image": [{"bytes": png(n)[1], "path": None} for n in range(4)],
        "kind": [0, 1, 0, 1],
        "stage": ["egg", "egg", "adult", "adult"],
        "tags": [["wing", "leg"], [], ["leg"], ["wing"]],
        "seen": [[0, 1], [1], [], [0]],
        "share": [0.5] * 4,
    }
    features = {"kind": kinds, "stage": datasets.Value("string")}
    features |= {
        "tags": datasets.Sequence(datasets.Value("string")),
        "seen": datasets.Sequence(kinds),
        "share": datasets.Value("float32"),
    }
    both = datasets.DatasetDict({"train": datasets.load_from_disk(save(tmp_path / "one", rows, **features))})
    both.save_to_disk(tmp_path / "set")

    def classes(column):
        data = load_data("hf_disk", root=tmp_path / "set", label_column=column)
        return [data.classes[label] for label in data.labels.tolist()]

    assert classes(None) == classes("kind") == ["bee", "ant", "bee", "ant"]
    assert classes("stage") == ["egg", "egg", "adult", "adult"]
    assert classes("kind, stage") == ["bee / egg", "ant / egg", "bee / adult", "ant / adult"]
    assert classes("tags:wing") == ["wing", "no wing", "no wing", "wing"]
    assert classes("seen:ant,stage") == ["ant / egg", "ant / egg", "no ant / adult", "no ant / adult"]
    for wrong, sentence in {
        "tags": r"'tags' of .* has up to 2 labels an image, and an image is of one class\. Name a label",
        "tags:fin": r"'tags' of .* has the labels wing, leg; got 'fin'",
        "image": r"has no column 'image' among kind, stage, tags, seen, share\. Name another by label_column=",
        "share,stage": r"labels must be numbers or words, or lists of them; got 0\.5 in the column 'share'",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            classes(wrong)


def test_images_may_be_files_beside_it_and_bad_ones_are_listed(tmp_path):
    Image.fromarray(np.moveaxis(png(0)[0], 0, -1)).save(tmp_path / "a.png")
    (tmp_path / "none.png").write_text("no image")
    cells = [{"bytes": None, "path": str(tmp_path / name)} for name in ("a.png", "none.png")]
    cells += [{"bytes": b"no image", "path": None}, None]
    root = save(tmp_path / "set", {"image": cells, "label": [-1] * 4}, label=datasets.ClassLabel(names=["x"]))
    datasets.DatasetDict({"train": datasets.load_from_disk(root)}).save_to_disk(tmp_path / "both")
    rows = [{"image": cell} for cell in cells]
    assert torch.equal(Pixels(3)(hf_disk.Row(tmp_path, rows, 0, "").picture(3, "white")), torch.from_numpy(png(0)[0]))
    (tmp_path / "none.png").unlink()
    with pytest.raises(ValueError, match=r"^No such file or directory$"):
        hf_disk.Row(tmp_path, rows, 1, "").picture(3, "white")
    with pytest.raises(
        BadFilesError, match=r"(?s)^3 of 4 .*row 1: it is of none.*row 2: it is of none.*row 3: it is empty"
    ):
        load_data("hf_disk", root=tmp_path / "both")
    with pytest.warns(LeftOutWarning):
        data = load_data("hf_disk", root=tmp_path / "both", skip_bad=True)
    assert torch.equal(data.images[0], torch.from_numpy(png(0)[0]))
    assert (len(data), data.classes, len(data.skipped)) == (1, (), 3)
    with pytest.raises(FileNotFoundError, match=r"has no images for split='test'\. Save a DatasetDict that has this"):
        load_data("hf_disk", "test", root=tmp_path / "both")


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^hf_disk needs the folder that save_to_disk wrote; got none\. Name it by"):
        load_data("hf_disk")
    with pytest.raises(FileNotFoundError, match=r"^hf_disk reads a folder that save_to_disk wrote; .* is none\. Name"):
        load_data("hf_disk", root=tmp_path / "nowhere")
    with pytest.raises(
        ValueError, match=r"cannot be read as a data set of Hugging Face on the disk \([^\n]*\)\. Write it"
    ):
        load_data("hf_disk", root=tmp_path)
    rows = {"image": [{"bytes": png(0)[1], "path": None}] * 3, "label": [0.5, 1.0, 2.0]}
    save(tmp_path / "set", rows, label=datasets.Value("float32"))
    with pytest.raises(ValueError, match=r"must be numbers or words; got 0\.5 in the column 'label'\. Name another by"):
        load_data("hf_disk", root=tmp_path / "set")
