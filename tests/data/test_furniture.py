"""Furniture: archives with catalogues, what they put upright, and series that are in one split."""

from __future__ import annotations

import re
import zipfile

import pytest
import torch

from eqmodels.data import load_data
from eqmodels.data.space.furniture import furniture_models, series_marks
from eqmodels.data.space.series import joined, series_for_testing
from tests.data.space_files import write_furniture


def test_things_stand_upright_with_their_rooms(tmp_path):
    write_furniture(tmp_path)
    assert {model.name for model in furniture_models(tmp_path)} >= {"Old table", "Old café"}
    both = [load_data("furniture", split, root=tmp_path, points=300) for split in ("train", "test")]
    for data in both:
        assert (data.classes, data.aligned, data.size) == (("Kitchen", "Office"), True, (300, 1))
        extents = data.points().amax(1) - data.points().amin(1)
        # 9 high, 2 deep and 1 wide: up is z, front x and left y, whatever a file calls them.
        assert torch.equal(extents.argsort(), torch.tensor([1, 0, 2]).expand(len(data), 3))
    assert sum(map(len, both)) == 48  # those of the third room are too few


def test_clouds_of_archives_are_kept(tmp_path):
    write_furniture(tmp_path / "all")
    options = {"root": tmp_path / "all", "points": 9, "cache": tmp_path / "cache"}
    first = load_data("furniture", "test", **options)
    (file,) = (tmp_path / "cache").iterdir()
    assert torch.equal(load_data("furniture", "test", **options).images, first.images)
    assert list((tmp_path / "cache").iterdir()) == [file]


def test_series_share_a_last_word_a_file_or_the_beginning(tmp_path):
    assert series_marks("Wooden desk", "kids_desk2") == ["desk", "kids_desk#.obj"]
    assert series_marks("3", "3") == ["3", "#.obj"]
    write_furniture(tmp_path)
    # Every thing is named by one of four words, in both rooms: each word is in one split alone.
    names = [[model.name for model in furniture_models(tmp_path)][label::4] for label in range(4)]
    assert all(len(set(own)) <= 2 for own in names)
    assert joined([["a", "b"], ["c"], ["d", "c"], ["b", "e"], ["e", "f"]]) == ["a", "c", "c", "a", "a"]


def test_a_whole_series_is_for_testing_and_never_more_than_a_third_of_a_class():
    things = [(f"room {number % 3}", f"series {number % 11}") for number in range(300)]
    tested = series_for_testing(things)
    assert tested == series_for_testing(things[::-1])
    for room in range(3):
        own = [series for name, series in things if name == f"room {room}"]
        assert 0.15 <= sum(series in tested for series in own) / len(own) <= 0.35
    assert series_for_testing([("few", "one"), ("few", "two")]) == set()


def test_what_is_no_library_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^furniture reads the libraries of .* has none\. Install Debian's"):
        load_data("furniture", root=tmp_path)
    file = tmp_path / "broken.sh3f"
    file.write_text("nothing")
    with pytest.raises(ValueError, match=rf"^{re.escape(str(file))} cannot be read .*Install the package again\."):
        load_data("furniture", root=tmp_path)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", "name#1=Bed\ncategory#1=Bedroom\nmodel#1=/bed.obj\n")
    with pytest.raises(FileNotFoundError, match=r"^furniture has things of rooms with at least 20 of them; "):
        load_data("furniture", root=tmp_path)
    lines = [f"name#{n}=Bed{n}{n}\ncategory#{n}=Bedroom\nmodel#{n}=/bed.obj\n" for n in range(20)]
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", "".join(lines))
    with pytest.raises(ValueError, match=r"give no cloud\. The first: .*bed\.obj cannot be read"):
        load_data("furniture", root=tmp_path)
