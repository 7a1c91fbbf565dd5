"""Files that hold one picture are found, however it lies, and no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from eqmodels.data.pictures import BadFilesError
from eqmodels.neighbours import find_duplicates
from eqmodels.neighbours.comparing import compare, miniature
from eqmodels.neighbours.duplicates import _unseen_moves, is_same
from eqmodels.neighbours.miniatures import Miniatures, packed
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


def bands(path, channels, *, seed, element=0, scale=1.0, dtype=np.uint16):
    """Soft pictures of so many channels, each dim and in a part of the range of its own, moved and resized."""
    draw = np.random.default_rng(seed)
    planes = []
    for channel in range(channels):
        coarse = Image.fromarray(draw.integers(0, 400, (5, 6)).astype(np.float32))
        plane = moved(coarse.resize((44, 32), Image.Resampling.BICUBIC), element)
        plane = plane.resize((round(plane.width * scale), round(plane.height * scale)), Image.Resampling.BICUBIC)
        planes.append(np.asarray(plane) + 500 * channel)
    np.save(path, np.stack(planes).clip(0, None).astype(dtype))
    return path


@pytest.mark.parametrize("channels", [2, 7, 13])
def test_dim_pictures_of_16_bits_and_many_channels_are_told_apart(network, tmp_path, channels):
    files = [bands(tmp_path / f"{number}.npy", channels, seed=number) for number in range(6)]
    files += [bands(tmp_path / "turned.npy", channels, seed=2, element=1, scale=1.5)]
    files += [bands(tmp_path / "mirrored.npy", channels, seed=4, element=4)]
    encoder = network("c4_resnet18s_w8", in_chans=channels)
    found = find_duplicates(encoder, files, candidates=7)
    assert found.compared == 28
    expected = {("2.npy", "turned.npy", 1), ("4.npy", "mirrored.npy", 4)}
    assert {(pair.first[-5:], pair.second.rpartition("/")[2], pair.element) for pair in found.pairs} == expected
    # As numbers of the whole range all of them are nearly black, and so nearly the same.
    assert max(float(np.load(file).max()) for file in files) / (2**16 - 1) < 0.11


def test_a_hot_pixel_and_an_even_ground_do_not_make_pictures_the_same():
    noise = [0.1 + 0.001 * torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(n)) for n in range(2)]
    for one in noise:
        one[0, 3, 5] = 1.0
    first, second = (miniature(one) for one in noise)
    assert not is_same(compare(first, second))
    assert is_same(compare(first, miniature(noise[0].rot90(1, (1, 2)))))
    even = [miniature(torch.full((2, 9, 9), value), 2) for value in (0.1, 0.1, 0.2)]
    assert is_same(compare(even[0], even[1]))
    assert not is_same(compare(even[0], even[2]))


def test_deep_pictures_and_others_of_one_folder_keep_what_they_are(tmp_path):
    seen = [miniature(Image.new("RGB", (8, 6), colour)) for colour in ("red", "blue")]
    deep = miniature(torch.rand(1, 9, 7))
    with Miniatures(tmp_path) as kept:
        for part in (seen, [deep, seen[0]]):
            kept.add(packed(part))
        assert len(kept) == 4
        for number, own in enumerate([*seen, deep, seen[0]]):
            other = kept[number]
            assert torch.equal(own.pixels, other.pixels)
            assert (own.height, own.width, own.is_deep) == (other.height, other.width, other.is_deep)
    assert not list(tmp_path.iterdir())  # the file has no name


class Stopped(BaseException):
    """Like Ctrl-C, and not mistaken for it by pytest."""


def test_what_was_stopped_goes_on_to_the_same(network, paths, tmp_path):
    encoder = network()
    copy = paths[3].with_name("copy.png")
    moved(Image.open(paths[3]), 3).save(copy)
    files, kept, left = [*paths, copy], tmp_path / "pairs.csv", [2]

    def count(_):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped

    with pytest.raises(Stopped):
        find_duplicates(encoder, files, batch_size=2, kept=kept, progress=count)
    assert list(tmp_path.glob("pairs.csv.parts/*"))
    said, finished, done = [], [], []
    options = {"kept": kept, "finish": finished.append, "report": said.append, "progress": done.append}
    found = find_duplicates(encoder, files, batch_size=2, **options)
    assert said[0].startswith("resumed with ")
    assert sum(done) == len(files)
    assert said[1].startswith("comparing the pixels of ")
    assert finished == [found]
    assert found == find_duplicates(encoder, files, batch_size=2)
    assert [(pair.first, pair.second) for pair in found.pairs] == [(str(paths[3]), str(copy))]
    assert not kept.with_name("pairs.csv.parts").exists()
