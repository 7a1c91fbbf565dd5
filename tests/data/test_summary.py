"""What is in a folder of images, in words and as a picture, before any work is done on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from eqmodels.data import contact_sheet, summarise_folder
from tests.data.test_folder import save


def folder_of_everything(tmp_path):
    """Seven images of two classes: one grey, one lying on its side, one of 16 bits, one constant, one transparent."""
    base = tmp_path / "mine"
    save(base / "train/ant/a.png", size=(8, 6))
    save(base / "train/ant/grey.png", size=(8, 6), mode="L")
    noted = Image.Exif()
    noted[0x0112] = 6
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(8, 6)).save(base / "train/ant/side.png", exif=noted)
    Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8) * 900).save(base / "train/ant/deep.png")
    (base / "test/bee").mkdir(parents=True)
    Image.new("RGB", (8, 6), "red").save(base / "test/bee/red.png")
    pixels = np.zeros((30, 40, 4), dtype=np.uint8)
    pixels[0, 0] = 255
    Image.fromarray(pixels).save(base / "test/bee/empty.png")
    (base / "test/bee/bad.png").write_text("no image")
    for name in ("test/bee/notes.txt", "train/beside.png", "test/bee/._red.png"):
        (base / name).write_text("left out")
    return base


@pytest.fixture
def root(tmp_path):
    return folder_of_everything(tmp_path)


def test_everything_is_counted(root):
    found = summarise_folder(root)
    assert found.splits == {"train": 4, "test": 3}
    assert found.classes == {"ant": 4, "bee": 3}
    assert found.sizes == {"8 x 6": 5, "40 x 30": 1}
    assert found.modes == {"L": 2, "RGB": 2, "I;16": 1, "RGBA": 1}
    assert found.constant == ["test/bee/red.png"]
    assert found.empty == ["test/bee/empty.png"]
    assert found.bad == {"test/bee/bad.png": "it is of none of the formats BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP"}
    assert found.ignored == {".txt": 1, "images beside the classes": 1}
    assert found.to_dict()["no_classes"] is None


def test_a_folder_without_classes_says_so(tmp_path):
    for number in range(12):
        save(tmp_path / f"{number}.png", seed=number)
    found = summarise_folder(tmp_path)
    assert found.classes == {}
    assert sum(found.splits.values()) == 12
    assert "no classes: the images lie in no folders" in found.text()
    assert found.to_dict()["no_classes"] == "the images lie in no folders"
    assert "and 2 more" in type(found)(**{**found.to_dict(), "constant": list("abcdefghijkl")}).text()


def test_a_sheet_shows_pictures_whole_upright_and_on_white(tmp_path):
    pixels = np.zeros((40, 20, 4), dtype=np.uint8)
    pixels[:20] = (255, 0, 0, 255)  # the lower half is transparent
    noted = Image.Exif()
    noted[0x0112] = 6  # turn clockwise to see it
    Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png", exif=noted)
    sheet = torch.from_numpy(np.array(contact_sheet(tmp_path, columns=1, rows=1, side=40)))
    assert sheet.shape == (48, 48, 3)
    inside = sheet[4:44, 14:34]
    assert (inside[2:18] == torch.tensor([255, 0, 0])).all()
    assert (inside[22:] == 255).all()
    assert (sheet[:, :12] == 255).all()
    for number in range(5):
        save(tmp_path / f"b{number}.png")
    assert contact_sheet(tmp_path, columns=2, rows=2, side=8).size == (2 * 12 + 4, 2 * 12 + 4)


def test_no_folder_and_no_image_are_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is none\. Name one"):
        summarise_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"has no images that can be read\. Name a folder of images\."):
        contact_sheet(tmp_path)


def test_a_second_folder_for_testing_is_counted_and_names_are_one_line(tmp_path):
    for split in ("train", "test", "valid", "val"):
        for number in range(3):
            save(tmp_path / f"mine/{split}/a\nb/{number}.png", seed=number)
    found = summarise_folder(tmp_path / "mine")
    assert found.splits == {"train": 3, "test": 3, "validation": 3}
    assert found.ignored == {"images of valid, as there is val": 3}
    lines = found.text().splitlines()
    assert "left out: images of valid, as there is val (3)" in lines
    assert "1 class: 'a\\nb' (9)" in lines


def test_every_column_of_labels_of_a_table_is_counted(tmp_path):
    file = tmp_path / "mine.csv"
    rows = [("ant", "1,5", "wing;leg"), ("bee", "2", "wing"), ("ant", "", "leg"), ("ant", "1,5", "no; thing at all")]
    lines = [f'{number}.png,{species},"{stage}",{tags},train' for number, (species, stage, tags) in enumerate(rows)]
    file.write_text("\n".join(["path,species,stage,tags,split", *lines]))
    for number in range(4):
        save(tmp_path / f"{number}.png", seed=number)
    (tmp_path / "2.png").write_text("no image")
    found = summarise_folder(file)
    assert found.splits == {"train": 4, "test": 0}
    assert list(found.bad) == ["2.png"]
    assert found.labels == {
        "species": {"ant": 3, "bee": 1},
        "stage": {"1,5": 2, "2": 1},
        "tags": {"wing;leg": 1, "wing": 1, "leg": 1, "no; thing at all": 1},
    }
    assert found.classes == {}
    assert "no classes: " in found.text()
    assert "Name one by label_column= (--label-column)" in found.text()
    assert "column species: 2 labels: ant (3), bee (1)" in found.text().splitlines()
    assert summarise_folder(file, label_column="species,tags:leg").classes == {
        "ant / leg": 2,
        "ant / no leg": 1,
        "bee / no leg": 1,
    }
    lines[0] = lines[0].replace("train", "val")
    file.write_text("\n".join(["path,species,stage,tags,split", *lines[:3]]))
    assert summarise_folder(file).splits == {"train": 2, "test": 1}
    file.write_text("\n".join(["path,species,stage,tags,split", *lines[:3], lines[3].replace("train", "test")]))
    assert summarise_folder(file).splits == {"train": 2, "test": 1, "validation": 1}
    file.write_text("\n".join(["path,species,stage,tags,split", *lines[:3]]))
    assert summarise_folder(file).labels["tags"] == {"wing": 2, "leg": 2}
    assert contact_sheet(file, columns=3, rows=1, side=8).size == (3 * 12 + 4, 12 + 4)
    with pytest.raises(ValueError, match="label_column is for tables; got it for the folder"):
        summarise_folder(tmp_path, label_column="species")
