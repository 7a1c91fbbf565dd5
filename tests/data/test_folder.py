"""Any directory with one folder of images a class."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image

from eqmodels.data import load_data
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


def test_a_flat_folder_is_split_once_and_for_all_class_by_class(tmp_path):
    counts = {"ant": 10, "bee": 25, "cat": 4}
    images = flat_folder(tmp_path, counts)
    train, test = (load_data("image_folder", split, root=tmp_path) for split in ("train", "test"))
    assert train.labels.bincount(minlength=3).tolist() == [8, 20, 4]
    assert test.labels.bincount(minlength=3).tolist() == [2, 5, 0]
    as_bytes = [
        {image.numpy().tobytes() for image in part} for part in (train.images, test.images, torch.stack(images))
    ]
    assert as_bytes[0] | as_bytes[1] == as_bytes[2]
    assert not as_bytes[0] & as_bytes[1]
    assert torch.equal(test.images[:2], torch.stack([images[4], images[9]]))
    assert torch.equal(load_data("image_folder", "test", root=str(tmp_path)).images, test.images)


def test_grey_images_become_rgb(tmp_path):
    grey = save(tmp_path / "ant/a.png", mode="L")
    colour = save(tmp_path / "ant/b.jpg")
    images = load_data("image_folder", root=tmp_path).images
    assert images.shape == (2, 3, *grey.shape) == (2, 3, *colour.shape[:2])
    assert all(torch.equal(channel, grey) for channel in images[0])


def test_size_resizes_the_shorter_side_and_crops_the_centre(tmp_path):
    save(tmp_path / "ant/a.png", size=(20, 10))
    save(tmp_path / "ant/b.png", size=(8, 16))
    white = np.zeros((10, 30, 3), dtype=np.uint8)
    white[:, 10:20] = 255
    Image.fromarray(white).save(tmp_path / "ant/c.png")
    data = load_data("image_folder", root=tmp_path, size=10)
    assert data.images.shape == (3, 3, 10, 10)
    assert (data.images[2] == 1).all()


def test_training_sees_what_the_transform_of_the_network_sees(tmp_path):
    """A photograph that lies on its side, as a camera writes it, and one with transparency."""
    pixels = save(tmp_path / "ant/a.png", size=(6, 8)).numpy()
    noted = Image.Exif()
    noted[0x0112] = 6  # turn clockwise to see it
    Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "ant/b.png", exif=noted)
    Image.fromarray(pixels).convert("RGBA").save(tmp_path / "ant/c.png")
    images = load_data("image_folder", root=tmp_path).images
    assert images.shape == (3, 3, 8, 6)
    # Floats, as one has transparency.
    transform = Preprocessing((0.0,) * 3, (1.0,) * 3, (8, 6)).transform()
    for name, image in zip("abc", images, strict=True):
        torch.testing.assert_close(image, torch.from_numpy(pixels).movedim(-1, 0) / 255)
        torch.testing.assert_close(transform(Image.open(tmp_path / f"ant/{name}.png")), image)


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_class_may_be_called_like_a_split(tmp_path, name):
    flat_folder(tmp_path, {"bus": 5, "car": 5, name: 5})
    (tmp_path / ".cache").mkdir()
    (tmp_path / name / ".cache").mkdir()
    for split, count in (("train", 4), ("test", 1)):
        data = load_data("image_folder", split, root=tmp_path)
        assert data.classes == ("bus", "car", name)
        assert data.labels.bincount().tolist() == [count] * 3


def test_splits_may_have_other_folders_beside_them(tmp_path):
    save(tmp_path / "train/ant/a.png")
    save(tmp_path / "originals/a.png")
    (tmp_path / "test").mkdir()
    assert load_data("image_folder", root=tmp_path).classes == ("ant",)
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(str(tmp_path / 'test'))} has no images in folders"):
        load_data("image_folder", "test", root=tmp_path)


def test_other_files_are_left_out(tmp_path):
    save(tmp_path / "ant/a.png")
    (tmp_path / "ant/notes.txt").write_text("no image")
    assert len(load_data("image_folder", root=tmp_path)) == 1


# What is refused.


def test_images_of_different_sizes_ask_for_size(tmp_path):
    save(tmp_path / "ant/a.png", size=(8, 6))
    save(tmp_path / "ant/b.png", size=(9, 6))
    message = (
        f"images of {tmp_path} must have one size; got 2, such as [(3, 6, 8), (3, 6, 9)]. "
        "Pass size=, for instance 64 (--size 64)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_data("image_folder", root=tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    message = (
        f"image_folder reads a folder with one folder of images a class; {tmp_path / 'nowhere'} is none. "
        "Name one by root= (--root)."
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        load_data("image_folder", root=tmp_path / "nowhere")


def test_one_of_the_folders_train_and_test_alone_is_no_class(tmp_path):
    save(tmp_path / "train/ant/a.png")
    assert load_data("image_folder", "train", root=tmp_path).classes == ("ant",)
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(tmp_path / 'test'))} is none"):
        load_data("image_folder", "test", root=tmp_path)


def test_splits_without_folders_are_no_classes(tmp_path):
    save(tmp_path / "train/a.png")
    save(tmp_path / "test/a.png")
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(str(tmp_path / 'train'))} has no images in folders"):
        load_data("image_folder", root=tmp_path)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_pictures_of_16_bits_are_read_beside_those_of_8(tmp_path, kind):
    pixels = save(tmp_path / "ant/a.png")
    Image.fromarray(np.full((6, 8), 3000, dtype=np.uint16)).save(tmp_path / f"ant/b.{kind}")
    images = load_data("image_folder", root=tmp_path).images
    torch.testing.assert_close(images[0], pixels.movedim(-1, 0) / 255)
    torch.testing.assert_close(images[1], torch.full((3, 6, 8), 3000 / 65535))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: b"no image", "it is of none of the formats BMP, JPEG, PNG, PPM, TIFF, WEBP"),
        (lambda content: b"", "it is of none of the formats BMP, JPEG, PNG, PPM, TIFF, WEBP"),
        (lambda content: content[:-60], "[^\n]*truncated[^\n]*"),
        (lambda content: content[:50] + bytes(50) + content[100:], "[^\n]+"),
    ],
    ids=["text", "empty", "short", "damaged"],
)
def test_a_damaged_image_is_named_in_one_sentence(tmp_path, spoil, reason):
    save(tmp_path / "ant/a.png", size=(30, 20))
    file = tmp_path / "ant/b.png"
    file.write_bytes(spoil((tmp_path / "ant/a.png").read_bytes()))
    sentence = rf"^{re.escape(str(file))} cannot be read as an image \({reason}\)\. Remove it, or replace it\.$"
    with pytest.raises(ValueError, match=sentence):
        load_data("image_folder", root=tmp_path)


@pytest.mark.parametrize("inside", ["", "ant", "train/ant"])
def test_a_folder_without_images_is_named(tmp_path, inside):
    (tmp_path / inside).mkdir(parents=True, exist_ok=True)
    with pytest.raises(FileNotFoundError, match=r"has no images in folders for split='train'\. Add some"):
        load_data("image_folder", root=tmp_path)


def test_too_few_images_for_a_test_split_are_named(tmp_path):
    flat_folder(tmp_path, {"ant": 4})
    with pytest.raises(FileNotFoundError, match=r"for split='test'\. Add some .* at least 5 a class"):
        load_data("image_folder", "test", root=tmp_path)


def test_no_folder_is_asked_for():
    message = "image_folder needs the folder of images; got none. Name it by root= (--root)."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_data("image_folder")


def test_an_impossible_size_is_refused(tmp_path):
    save(tmp_path / "ant/a.png")
    with pytest.raises(ValueError, match=r"^size must be at least one pixel; got 0\."):
        load_data("image_folder", root=tmp_path, size=0)
