"""Files that hold one picture are found, however it lies, and no others."""

from __future__ import annotations

import pytest
from PIL import Image

from eqmodels.data.pictures import BadFilesError
from eqmodels.neighbours import find_duplicates
from eqmodels.neighbours.duplicates import _unseen_moves
from tests.neighbours.test_comparing import moved


@pytest.mark.parametrize(
    ("name", "pool", "passes"),
    [
        ("c4_resnet18s_w8", "invariant", 2),
        ("c4_resnet18s_w8", "regular", 8),
        ("d4_resnet18s_w8", "invariant", 1),
        ("resnet18s_w4", "invariant", 8),
    ],
)
def test_copies_are_found_whatever_the_network_sees_past(network, paths, name, pool, passes):
    encoder, copies = network(name, pool), {}
    assert len(_unseen_moves(encoder)) == passes
    for number, element in ((0, 1), (1, 4), (2, 7), (3, 0)):
        copy = paths[number].with_name(f"{number}_copy.png")
        picture = moved(Image.open(paths[number]), element)
        picture.resize((picture.width * 2, picture.height * 2)).save(copy)
        copies[str(paths[number]), str(copy)] = element
    files = sorted([*paths, *(copy for _, copy in copies)], key=str)
    done = []
    found = find_duplicates(encoder.train(), files, candidates=3, batch_size=5, progress=done.append)
    assert {(pair.first, pair.second): pair.element for pair in found.pairs} == copies
    assert sorted(found.groups) == sorted(copies)
    assert (found.images, sum(done)) == (12, 12)
    assert found.pairs[0].move == "90°"


def test_many_copies_are_one_group(network, paths):
    files = [*paths]
    for element in range(8):
        files.append(paths[0].with_name(f"copy{element}.png"))
        moved(Image.open(paths[0]), element).save(files[-1])
    found = find_duplicates(network(), files, candidates=2)
    assert [len(group) for group in found.groups] == [9]
    assert len(found.pairs) < 36  # not all were compared


def test_no_pictures_are_the_same(network, paths):
    found = find_duplicates(network(), paths)
    assert (found.pairs, found.groups) == ((), ())
    assert found.compared == 28
    assert found.to_dict()["images"] == 8


def test_bad_files_are_listed_or_left_out(network, paths):
    paths[2].write_text("no image")
    with pytest.raises(BadFilesError, match=r"^1 of 8 files cannot be read as images\. Remove them, or pass skip_bad"):
        find_duplicates(network(), paths)
    found = find_duplicates(network(), paths, skip_bad=True)
    assert found.images == 7
    assert found.to_dict()["skipped"].keys() == {str(paths[2])}
    with pytest.raises(ValueError, match="at least two files; got 1"):
        find_duplicates(network(), paths[:1])
