"""Any directory with one folder of images a class."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eqmodels.data import is_labelled, load_data
from eqmodels.data.image_files import list_folder
from eqmodels.data.pictures import BadFile, BadFilesError, LeftOutWarning
from eqmodels.transforms import Preprocessing


def save(file, *, size=(8, 6), mode="RGB", seed=0):
    """A random image of the given width and height."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(file)
    return torch.from_numpy(pixels)


def flat_folder(root, counts):
    """A folder with so many images of each class; the images in the order of classes and names."""
    seeds = iter(range(10_000))
    return [
        save(root / name / f"{number:03}.png", seed=next(seeds)).movedim(-1, 0)
        for name, count in counts.items()
        for number in range(count)
    ]


def test_folders_train_and_test_are_the_splits(tmp_path):
    cat, dog = save(tmp_path / "train/cat/a.png", seed=1), save(tmp_path / "train/dog/a.png", seed=2)
    other = save(tmp_path / "test/dog/b.png", seed=3)
    save(tmp_path / "test/cat/b.png", seed=4)
    train, test = (load_data("image_folder", split, root=tmp_path) for split in ("train", "test"))
    assert train.classes == test.classes == ("cat", "dog")
    assert torch.equal(train.images, torch.stack([cat, dog]).movedim(-1, 1))
    assert torch.equal(test.images[1], other.movedim(-1, 0))
    assert train.labels.tolist() == test.labels.tolist() == [0, 1]
    assert train.name == f"image_folder:{tmp_path.name}"


def test_a_label_means_the_same_class_in_both_splits(tmp_path):
    for place in ("train/ant", "train/bee", "train/cat", "test/cat", "test/dog"):
        save(tmp_path / place / "a.png")
    (tmp_path / "test/bee").mkdir()
    (tmp_path / "test/.cache").mkdir()
    train, test = (load_data("image_folder", split, root=tmp_path) for split in ("train", "test"))
    assert train.classes == test.classes == ("ant", "bee", "cat", "dog")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 2], [2, 3])


@pytest.mark.parametrize("classes", [("ant", "bee"), ("",)], ids=["classes", "none"])
def test_a_folder_without_splits_is_split_once_and_for_all(tmp_path, classes):
    flat_folder(tmp_path, dict.fromkeys(classes, 60))
    train, test = (set(list_folder(tmp_path, split).files) for split in ("train", "test"))
    everything = set(list_folder(tmp_path, None).files)
    assert train | test == everything
    assert not train & test
    assert 0.1 < len(test) / len(everything) < 0.3
    # A new file moves no other.
    for number in range(60, 80):
        save(tmp_path / classes[0] / f"{number:03}.png")
    assert set(list_folder(tmp_path, "train").files) >= train
    assert set(list_folder(tmp_path, "test").files) >= test


def test_images_in_no_folder_have_no_classes(tmp_path):
    images = flat_folder(tmp_path, {"train": 3, "test": 1})
    for split, count in (("train", 3), ("test", 1)):
        data = load_data("image_folder", split, root=tmp_path)
        assert (data.classes, data.labels.tolist()) == ((), [-1] * count)
        assert not is_labelled(data)
    assert torch.equal(data.images, torch.stack(images[3:]))


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
def test_what_is_for_testing_has_several_names(tmp_path, name):
    flat_folder(tmp_path / "train", {"ant": 3, "bee": 1})
    flat_folder(tmp_path / name, {"bee": 2})
    data = load_data("image_folder", "test", root=tmp_path)
    assert (data.classes, data.labels.tolist()) == (("ant", "bee"), [1, 1])
    if name != "test":
        assert len(load_data("image_folder", "validation", root=tmp_path)) == 2
        flat_folder(tmp_path / "test", {"cat": 1})
        splits = ("test", "validation")
        found = {split: load_data("image_folder", split, root=tmp_path) for split in splits}
        assert [(len(one), one.classes) for one in found.values()] == [
            (count, ("ant", "bee", "cat")) for count in (1, 2)
        ]
    else:
        with pytest.raises(FileNotFoundError, match="has no images for split='validation'"):
            load_data("image_folder", "validation", root=tmp_path)


def test_what_is_no_image_is_counted_by_its_ending(tmp_path):
    flat_folder(tmp_path, {"ant": 3})
    for name in ("a.png", "ant/notes.txt", "ant/table.TXT", "ant/readme", "ant/._0.png", ".cache/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    listing = list_folder(tmp_path, None)
    assert len(listing.files) == 3
    assert listing.ignored == {".txt": 2, "images beside the classes": 1, "no ending": 1}


def test_folders_of_something_else_are_no_classes(tmp_path):
    flat_folder(tmp_path, {"": 3})
    for name in ("notes/a.txt", "thumbnails/.cache/a.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("no image")
    listing = list_folder(tmp_path, None)
    assert (listing.classes, [label for _, label in listing.files]) == ((), [-1] * 3)
    assert listing.ignored == {".txt": 1}


def test_deeper_folders_are_of_the_class_above_them(tmp_path):
    save(tmp_path / "ant/young/a.png")
    save(tmp_path / "bee/a.png")
    assert [label for _, label in list_folder(tmp_path, None).files] == [0, 1]


def test_grey_images_become_rgb(tmp_path):
    grey = save(tmp_path / "train/ant/a.png", mode="L")
    colour = save(tmp_path / "train/ant/b.jpg")
    images = load_data("image_folder", root=tmp_path).images
    assert images.shape == (2, 3, *grey.shape) == (2, 3, *colour.shape[:2])
    assert all(torch.equal(channel, grey) for channel in images[0])


def test_size_resizes_the_shorter_side_and_crops_the_centre(tmp_path):
    save(tmp_path / "train/ant/a.png", size=(20, 10))
    save(tmp_path / "train/ant/b.png", size=(8, 16))
    white = np.zeros((10, 30, 3), dtype=np.uint8)
    white[:, 10:20] = 255
    Image.fromarray(white).save(tmp_path / "train/ant/c.png")
    data = load_data("image_folder", root=tmp_path, size=10)
    assert data.images.shape == (3, 3, 10, 10)
    assert (data.images[2] == 1).all()


def test_training_sees_what_the_transform_of_the_network_sees(tmp_path):
    """A photograph that lies on its side, as a camera writes it, and one with transparency."""
    pixels = save(tmp_path / "train/ant/a.png", size=(6, 8)).numpy()
    noted = Image.Exif()
    noted[0x0112] = 6  # turn clockwise to see it
    Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "train/ant/b.png", exif=noted)
    Image.fromarray(pixels).convert("RGBA").save(tmp_path / "train/ant/c.png")
    images = load_data("image_folder", root=tmp_path).images
    assert images.shape == (3, 3, 8, 6)
    # Floats, as one has transparency.
    transform = Preprocessing((0.0,) * 3, (1.0,) * 3, (8, 6)).transform()
    for name, image in zip("abc", images, strict=True):
        torch.testing.assert_close(image, torch.from_numpy(pixels).movedim(-1, 0) / 255)
        torch.testing.assert_close(transform(Image.open(tmp_path / f"train/ant/{name}.png")), image)


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_class_may_be_called_like_a_split(tmp_path, name):
    flat_folder(tmp_path, {"bus": 5, "car": 5, name: 5})
    (tmp_path / ".cache").mkdir()
    (tmp_path / name / ".cache").mkdir()
    listing = list_folder(tmp_path, None)
    assert listing.classes == ("bus", "car", name)
    assert [label for _, label in listing.files] == [0] * 5 + [1] * 5 + [2] * 5


def test_splits_may_have_other_folders_beside_them(tmp_path):
    save(tmp_path / "train/ant/a.png")
    save(tmp_path / "originals/a.png")
    (tmp_path / "test").mkdir()
    assert load_data("image_folder", root=tmp_path).classes == ("ant",)
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(str(tmp_path))} has no images for split='test'"):
        load_data("image_folder", "test", root=tmp_path)


def test_other_files_are_left_out(tmp_path):
    save(tmp_path / "train/ant/a.png")
    (tmp_path / "train/ant/notes.txt").write_text("no image")
    assert len(load_data("image_folder", root=tmp_path)) == 1


# What is refused.


def test_images_of_different_sizes_ask_for_size(tmp_path):
    save(tmp_path / "train/ant/a.png", size=(8, 6))
    save(tmp_path / "train/ant/b.png", size=(9, 6))
    message = (
        f"images of {tmp_path} must have one size; got 2, such as [(3, 6, 8), (3, 6, 9)]. "
        "Pass size=, for instance 64 (--size 64)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_data("image_folder", root=tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    message = (
        f"image_folder reads a folder of images, or of one folder of images a class; {tmp_path / 'nowhere'} is none. "
        "Name one by root= (--root)."
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        load_data("image_folder", root=tmp_path / "nowhere")


def test_one_of_the_folders_train_and_test_alone_is_no_class(tmp_path):
    save(tmp_path / "train/ant/a.png")
    assert load_data("image_folder", "train", root=tmp_path).classes == ("ant",)
    with pytest.raises(FileNotFoundError, match="has no images for split='test'"):
        load_data("image_folder", "test", root=tmp_path)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_pictures_of_16_bits_are_read_beside_those_of_8(tmp_path, kind):
    pixels = save(tmp_path / "train/ant/a.png")
    Image.fromarray(np.full((6, 8), 3000, dtype=np.uint16)).save(tmp_path / f"train/ant/b.{kind}")
    images = load_data("image_folder", root=tmp_path).images
    torch.testing.assert_close(images[0], pixels.movedim(-1, 0) / 255)
    torch.testing.assert_close(images[1], torch.full((3, 6, 8), 3000 / 65535))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: b"no image", "it is of none of the formats BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP"),
        (lambda content: b"", "it is of none of the formats BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP"),
        (lambda content: content[:-60], "[^\n]*truncated[^\n]*"),
        (lambda content: content[:50] + bytes(50) + content[100:], "[^\n]+"),
    ],
    ids=["text", "empty", "short", "damaged"],
)
def test_damaged_images_are_all_named_before_any_work(tmp_path, spoil, reason):
    for number in range(3):
        save(tmp_path / f"train/ant/{number}.png", size=(30, 20), seed=number)
    for number in range(2):
        file = tmp_path / f"train/ant/{number}.png"
        file.write_bytes(spoil(file.read_bytes()))
    table = "".join(rf"\n  {re.escape(str(tmp_path))}/train/ant/{number}\.png: {reason}" for number in range(2))
    head = r"^2 of 3 files cannot be read as images\. Remove or replace them, or pass skip_bad=True \(--skip-bad\) to"
    with pytest.raises(BadFilesError, match=rf"{head} [^\n]*{table}$") as caught:
        load_data("image_folder", root=tmp_path)
    assert [one.path.name for one in caught.value.bad] == ["0.png", "1.png"]
    with pytest.warns(LeftOutWarning, match=r"^2 of 3 files cannot be read as images\. They are left out\.\n  "):
        data = load_data("image_folder", root=tmp_path, skip_bad=True)
    assert len(data) == 1


def test_what_most_files_are_bad_for_is_said_of_some(tmp_path):
    (tmp_path / "train").mkdir()
    for number in range(25):
        (tmp_path / f"train/{number}.png").write_text("no image")
    save(tmp_path / "train/9.png", size=(30, 20))
    (tmp_path / "train/9.png").write_bytes((tmp_path / "train/9.png").read_bytes()[:500])
    rows = r"  .*/9\.png: .*truncated.*\n(.*PPM.*\n){5}"
    with pytest.raises(BadFilesError, match=rf"^25 of 25 .* can be read\.\n{rows}  and 19 more for this reason$"):
        load_data("image_folder", root=tmp_path, skip_bad=True)


def test_all_bad_files_are_listed_up_to_a_thousand():
    bad = [BadFile(Path(f"{number}.png"), "it is damaged") for number in range(1002)]
    rows = str(BadFilesError(bad, 3000, "Remove them.")).splitlines()[1:]
    assert rows[:-1] == [f"  {number}.png: it is damaged" for number in range(1000)]
    assert rows[-1] == "  and 2 more"


@pytest.mark.parametrize("inside", ["", "ant", "train/ant"])
def test_a_folder_without_images_is_named(tmp_path, inside):
    (tmp_path / inside).mkdir(parents=True, exist_ok=True)
    with pytest.raises(FileNotFoundError, match=r"has no images for split='train'\. Add some"):
        load_data("image_folder", root=tmp_path)


def test_no_folder_is_asked_for():
    message = "image_folder needs the folder of images; got none. Name it by root= (--root)."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_data("image_folder")


def test_an_impossible_size_is_refused(tmp_path):
    save(tmp_path / "train/ant/a.png")
    with pytest.raises(ValueError, match=r"^size must be at least one pixel; got 0\."):
        load_data("image_folder", root=tmp_path, size=0)
