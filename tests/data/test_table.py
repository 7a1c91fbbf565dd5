"""Tables of paths and labels: the images that they name, with the column of labels and of splits that is meant."""

from __future__ import annotations

import csv
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from eqmodels.data import load_data
from eqmodels.data.pictures import BadFilesError, LeftOutWarning
from tests.data.test_folder import save


def write(file, rows, *, mark=","):
    """A table of rows that are mappings, as its ending says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
        return file
    with file.open("w", newline="", encoding="utf-8-sig") as stream:
        table = csv.DictWriter(stream, rows[0].keys(), delimiter=mark)
        table.writeheader()
        table.writerows(rows)
    return file


@pytest.fixture
def images(tmp_path):
    """Six images, of which the table says path, kind and age."""
    return [save(tmp_path / f"images/{number}.png", seed=number).movedim(-1, 0) for number in range(6)]


ROWS = [
    {"path": f"images/{number}.png", "kind": "bee" if number % 2 else "ant", "age": 10 - number, "split": split}
    for number, split in enumerate(["train", "train", "train", "val", "train", "val"])
]


@pytest.mark.parametrize(
    ("name", "mark"), [("t.csv", ","), ("t.csv", ";"), ("t.CSV", "\t"), ("t.tsv", "\t"), ("t.parquet", "")]
)
def test_a_table_names_images_labels_and_splits(tmp_path, images, name, mark):
    file = write(tmp_path / name, ROWS, mark=mark)
    train, test = (load_data("table", split, root=file, label_column="kind") for split in ("train", "test"))
    assert torch.equal(train.images, torch.stack([images[number] for number in (0, 1, 2, 4)]))
    assert torch.equal(test.images, torch.stack([images[number] for number in (3, 5)]))
    assert (train.name, train.classes, test.classes) == ("table:t", ("ant", "bee"), ("ant", "bee"))
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 0, 0], [1, 1])
    # Numbers are ordered as numbers.
    assert load_data("table", root=file, label_column="age").classes == ("5", "6", "7", "8", "9", "10")
    assert load_data("table", root=file, label_column="-").classes == ()


def test_a_label_is_found_by_its_name_or_as_the_only_one_left(tmp_path, images):
    def classes(rows):
        return load_data("table", root=write(tmp_path / "t.csv", rows)).classes

    plain = [{"path": row["path"], "split": row["split"]} for row in ROWS]
    assert classes(plain) == ()
    assert classes([{**row, "species": "a"} for row in plain]) == ("a",)
    assert classes([{**row, "species": "a", "label": "b"} for row in plain]) == ("b",)
    assert load_data(
        "table",
        root=write(tmp_path / "t.csv", [{"where": row["path"], "split": "train"} for row in ROWS]),
        path_column="where",
    ).images.shape == (6, 3, 6, 8)


def test_without_a_column_of_splits_a_new_row_moves_no_other(tmp_path):
    save(tmp_path / "0.png")
    rows = [{"path": "0.png", "number": number} for number in range(3)]
    names = [f"{number}.png" for number in range(60)]
    for name in names:
        save(tmp_path / name)
    rows = [{"path": name} for name in names]
    few = {split: load_data("table", split, root=write(tmp_path / "t.csv", rows[:40])) for split in ("train", "test")}
    all_of = {split: load_data("table", split, root=write(tmp_path / "t.csv", rows)) for split in ("train", "test")}
    assert sum(map(len, few.values())) == 40
    assert 4 <= len(few["test"]) <= len(all_of["test"]) <= 24


def test_bad_files_are_listed_and_left_out_if_that_is_asked_for(tmp_path, images):
    (tmp_path / "images/1.png").write_text("no image")
    (tmp_path / "images/2.png").unlink()
    file = write(tmp_path / "t.csv", ROWS)
    with pytest.raises(BadFilesError, match=r"(?s)^2 of 4 files .*1\.png: it is of none of .*2\.png: No such file"):
        load_data("table", root=file, label_column="kind")
    with pytest.warns(LeftOutWarning):
        data = load_data("table", root=file, label_column="kind", skip_bad=True)
    assert [one.path.name for one in data.skipped] == ["1.png", "2.png"]
    assert (len(data), data.labels.tolist()) == (2, [0, 0])


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            ROWS,
            {},
            "has several columns that may be labels, kind, age. Name one by label_column= (--label-column), or -",
        ),
        (
            ROWS,
            {"label_column": "sex"},
            "has no column 'sex' among kind, age, split. Name another by label_column=",
        ),
        (ROWS, {"path_column": "at"}, "has no column 'at' among path, kind, age, split. Name it by path_column="),
        ([{"a": "b"}], {}, "has no column of paths among a. Name it by path_column= (--path-column)."),
    ],
)
def test_columns_that_are_not_there_are_asked_for(tmp_path, rows, options, message):
    file = write(tmp_path / "t.csv", rows)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{file} {message}')}"):
        load_data("table", root=file, **options)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "", "cannot be read as a table (it is empty). Write it anew."),
        ("t.csv", "path,label\na.png\n", "cannot be read as a table (row 2 has 1 cells, and the first one 2). Write"),
        ("t.csv", "path,path\na.png,b\n", "cannot be read as a table (two of its columns have one name). Write"),
        ("t.csv", 'path,label\n"a.png,b\n', "cannot be read as a table (unexpected end of data). Write it anew."),
        ("t.parquet", "no table", "cannot be read as a table ("),
        (
            "t.csv",
            "path,label\na.png,\n",
            "every row of FILE must have a value in the column 'label'; image 1 has none.",
        ),
        (
            "t.csv",
            "path,split\na.png,dev\n",
            "the column 'split' of FILE must say train, test, val, valid, validation; ",
        ),
        ("t.xlsx", "", "table reads .csv, .tsv and .parquet; got FILE. Name such a table by root= (--root)."),
    ],
)
def test_a_damaged_table_is_refused_in_one_sentence(tmp_path, name, content, message):
    file = tmp_path / name
    file.write_text(content)
    message = message.replace("FILE", str(file)) if "FILE" in message else f"{file} {message}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        load_data("table", root=file)


def test_no_table_and_no_images_are_said(tmp_path, images):
    with pytest.raises(ValueError, match=r"^table needs a table of images, \.csv or \.parquet; got none\. Name it"):
        load_data("table")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv, which does not exist\. Name a table"):
        load_data("table", root=tmp_path / "nowhere.csv")
    file = write(tmp_path / "t.csv", [{"path": "images/0.png", "split": "train"}])
    with pytest.raises(FileNotFoundError, match=r"t\.csv has no images for split='test'\. Add rows, five or more"):
        load_data("table", "test", root=file)


def test_a_column_of_labels_that_is_not_one_label_a_row_is_refused(tmp_path, images):
    rows = [{"path": f"images/{n}.png", "label": [0, 1], "split": "train"} for n in range(4)]
    with pytest.raises(ValueError, match=r"^the column 'label' of .* has up to 2 labels an image, .*such as label_col"):
        load_data("table", root=write(tmp_path / "many.parquet", rows))
    with pytest.raises(
        ValueError, match=r"its column 'class' is of struct<.*>, and labels are words, numbers or lists"
    ):
        load_data("table", root=write(tmp_path / "odd.parquet", [row | {"class": {"a": 1}} for row in rows]))
    rows = [{"path": f"images/{n}.png", "label": float("nan") if n else 1.0, "split": "train"} for n in range(4)]
    with pytest.raises(ValueError, match=r"must have a value in the column 'label'; image 2 has none"):
        load_data("table", root=write(tmp_path / "nan.parquet", rows))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("path,label\nü,1".encode("latin-1"), "it is not in UTF-8: save it so"), (b"\n\n", "it is empty")],
    ids=["latin-1", "one empty line"],
)
def test_what_is_no_table_of_words_says_why(tmp_path, content, sentence):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"cannot be read as a table \({sentence}"):
        load_data("table", root=tmp_path / "a.csv")


SEVERAL = [
    {"path": f"images/{number}.png", "species": species, "stage": stage, "tags": tags, "split": "train"}
    for number, (species, stage, tags) in enumerate(
        [("ant", 1, "wing;leg"), ("bee", 2, "wing"), ("ant", 10, ""), ("bee", 2, "leg|wing"), ("ant", 1, "leg")]
    )
]
"""Five images with two labels, and several of a third kind in one cell."""


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize(
    ("column", "classes", "labels"),
    [
        ("species", ("ant", "bee"), [0, 1, 0, 1, 0]),
        ("stage", ("1", "2", "10"), [0, 1, 2, 1, 0]),
        ("species,stage", ("ant / 1", "ant / 10", "bee / 2"), [0, 2, 1, 2, 0]),
        ("stage, tags:wing", ("1 / no wing", "1 / wing", "10 / no wing", "2 / wing"), [1, 3, 2, 3, 0]),
        ("tags:leg", ("leg", "no leg"), [0, 1, 1, 0, 0]),
    ],
)
def test_one_column_of_several_is_the_class_or_several_are_one(tmp_path, images, name, column, classes, labels):
    rows = SEVERAL
    if name == "t.parquet":  # as Parquet has lists
        rows = [row | {"tags": [word for word in re.split(r"[;|]", row["tags"]) if word]} for row in SEVERAL]
    data = load_data("table", root=write(tmp_path / name, rows), label_column=column)
    assert (data.classes, data.labels.tolist()) == (classes, labels)


def test_a_label_that_is_none_of_a_column_is_refused(tmp_path, images):
    file = write(tmp_path / "t.csv", SEVERAL)
    with pytest.raises(
        ValueError, match=r"has the labels wing, leg; got 'arm'\. Name one of them by label_column=tags:"
    ):
        load_data("table", root=file, label_column="tags:arm")
    with pytest.raises(ValueError, match="has no column 'sex' among species, stage, tags, split"):
        load_data("table", root=file, label_column="species,sex")
    # A name with a comma in it is that column.
    rows = [
        {"path": row["path"], "split": "train", "species,stage": "a", "species": "b", "stage": 1} for row in SEVERAL
    ]
    assert load_data("table", root=write(tmp_path / "u.csv", rows), label_column="species,stage").classes == ("a",)


def test_images_to_choose_on_are_a_split_of_their_own(tmp_path, images):
    rows = [
        {"path": f"images/{number}.png", "split": split}
        for number, split in enumerate(["train", "test", "val", "valid", "val", "test"])
    ]

    def count(rows):
        file = write(tmp_path / "t.csv", rows)
        return [len(load_data("table", split, root=file)) for split in ("train", "test", "validation")]

    assert count(rows) == [1, 2, 2]
    # Without others to test on they are these too, as they always were.
    assert count([row for row in rows if row["split"] != "test"]) == [1, 2, 2]
    with pytest.raises(FileNotFoundError, match="has no images for split='validation'"):
        count(rows[:2])
