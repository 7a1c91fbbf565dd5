"""Features in a file: the same bytes however often they were stopped, and of what was asked for alone."""

from __future__ import annotations

import gc
import json
import os
import re
import weakref
from collections.abc import Sequence
from importlib import import_module

import numpy as np
import pytest
import safetensors.torch
import torch
from pyarrow import parquet

from eqmodels import create_model
from eqmodels.data.pictures import BadFilesError
from eqmodels.evaluation import embed, embed_to_file
from eqmodels.evaluation.embedding import outputs_of
from eqmodels.evaluation.feature_table import Embedding, check_header, write_features
from eqmodels.storage import StorageError, claimed_folder
from eqmodels.transforms import Preprocessing
from tests.data.test_folder import save

in_parts = import_module("eqmodels.evaluation.in_parts")
table = import_module("eqmodels.evaluation.feature_table")


class Stopped(BaseException):
    """Like Ctrl-C, and not mistaken for it by pytest."""


@pytest.fixture
def paths(tmp_path):
    """Nine pictures of different sizes, five parts of batches of two."""
    for number in range(9):
        save(tmp_path / f"mine/{number}.png", size=(9 + number, 12), seed=number)
    return sorted((tmp_path / "mine").glob("*.png"))


@pytest.fixture(scope="module")
def network():
    def build(pool="canonical", seed=0):
        torch.manual_seed(seed)
        made = create_model("c4_resnet18s_w4", in_chans=3, num_classes=0, global_pool=pool)
        made.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (8, 8))
        return made.eval()

    return build


def stopped(encoder, paths, file, after, **options):
    """Embeds so many batches of two, and is stopped."""
    left = [after]

    def count(_):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped

    with pytest.raises(Stopped):
        embed_to_file(encoder, paths, file, batch_size=2, progress=count, **options)


@pytest.mark.parametrize("ending", [".npz", ".parquet", ".safetensors"])
@pytest.mark.parametrize("pool", ["canonical", "regular"])
def test_parts_become_what_is_written_at_once(network, paths, tmp_path, ending, pool, monkeypatch):
    monkeypatch.setattr(table, "ROWS", 5)
    encoder, file, other = network(pool), tmp_path / f"features{ending}", tmp_path / f"other{ending}"
    paths[3].write_text("no image")
    done = []
    found = embed_to_file(encoder, paths, file, batch_size=2, skip_bad=True, progress=done.append)
    at_once = embed(encoder, paths, batch_size=2, skip_bad=True)
    assert (found.images, found.features, found.field) == (*at_once.features.shape, at_once.field)
    assert found.skipped == at_once.skipped
    assert (sum(done), found.resumed) == (9, 0)
    at_once.save(other)
    if ending == ".parquet":  # whose groups of rows follow the parts
        assert parquet.read_table(file).equals(parquet.read_table(other), check_metadata=True)
        assert parquet.ParquetFile(file).num_row_groups == 2
    else:
        assert file.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, "mine", other.name]


def test_files_are_those_of_the_libraries_of_their_formats(network, paths, tmp_path):
    found = embed(network(), paths)
    known = {"features": found.features, "pose": found.pose, "confidence": found.confidence}
    found.save(tmp_path / "ours.npz")
    arrays = {name: value.numpy() for name, value in known.items()}
    np.savez(tmp_path / "theirs.npz", paths=np.array(found.paths), field=np.array(found.field), **arrays)
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "theirs.npz").read_bytes()
    found.save(tmp_path / "ours.safetensors")
    ours, notes = (tmp_path / "ours.safetensors").read_bytes(), {"paths": json.dumps(found.paths), "field": found.field}
    theirs = safetensors.torch.save(known, notes)

    def head_and_rest(content):
        end = 8 + int.from_bytes(content[:8], "little")
        return json.loads(content[8:end]), content[end:]

    assert head_and_rest(ours) == head_and_rest(theirs)


class Made(Sequence):
    """Parts that are made when they are asked for, and counted as long as they live."""

    def __init__(self):
        self.living = self.most = 0

    def __len__(self):
        return 20

    def __getitem__(self, number):
        if number >= len(self):
            raise IndexError(number)
        part = Embedding((f"{number}.png",) * 3, torch.full((3, 4), float(number)), "4 x scalar", torch.zeros(3).long())
        self.living += 1
        self.most = max(self.most, self.living)
        weakref.finalize(part, self._end)
        return part

    def _end(self):
        self.living -= 1


@pytest.mark.parametrize("ending", [".npz", ".parquet", ".safetensors"])
def test_no_more_than_a_few_parts_are_in_memory(tmp_path, ending, monkeypatch):
    monkeypatch.setattr(table, "ROWS", 6)
    parts = Made()
    write_features(tmp_path / f"features{ending}", parts)
    assert parts.most <= 4
    gc.collect()
    assert parts.living == 0


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".parquet"])
def test_what_was_stopped_goes_on_to_the_same_bytes(network, paths, tmp_path, ending):
    encoder, whole, file = network(), tmp_path / f"whole{ending}", tmp_path / f"cut{ending}"
    embed_to_file(encoder, paths, whole, batch_size=2)
    file.write_text("what was there")
    stopped(encoder, paths, file, 2)
    stopped(encoder, paths, file, 1)
    assert file.read_text() == "what was there"
    parts = file.with_name(f"{file.name}.parts")
    kept = {path: path.stat().st_mtime_ns for path in parts.glob("*.safetensors")}
    assert len(kept) >= 2
    said, done = [], []
    found = embed_to_file(encoder, paths, file, batch_size=2, progress=done.append, report=said.append)
    assert said == [f"resumed with {2 * len(kept)} of 9 images, which are in {parts}"]
    assert found.resumed == done[0] == 2 * len(kept)
    assert sum(done) == 9
    assert file.read_bytes() == whole.read_bytes()
    assert not parts.exists()


def test_parts_of_anything_else_are_not_taken(network, paths, tmp_path):
    file = tmp_path / "features.npz"
    stopped(network(), paths, file, 3)
    before = len(list((tmp_path / "features.npz.parts").glob("*.safetensors")))
    save(paths[0], size=(9, 12), seed=50)  # another picture, and another time
    os.utime(paths[0], ns=(1, 1))
    for encoder, options, resumed in (
        (network(seed=1), {"batch_size": 2}, 0),
        (network("regular"), {"batch_size": 2}, 0),
        (network(), {"batch_size": 3}, 0),
        (network(), {"batch_size": 2, "size": (9, 9)}, 0),
        (network(), {"batch_size": 2}, 2 * before - 2),
    ):
        found = []
        with pytest.raises(Stopped):  # before it takes them away
            embed_to_file(encoder, paths, file, **options, progress=_raise, report=found.append)
        assert [int(re.search(r"resumed with (\d+) of 9", one)[1]) for one in found] == ([resumed] if resumed else [])
    assert embed_to_file(network(), paths, file, batch_size=2).resumed == 2 * before - 2
    with np.load(file) as content:
        assert np.array_equal(content["features"], embed(network(), paths, batch_size=2).features.numpy())


def _raise(_):
    raise Stopped


def test_a_part_that_is_damaged_is_made_anew(network, paths, tmp_path):
    encoder, whole, file = network(), tmp_path / "whole.npz", tmp_path / "cut.npz"
    embed_to_file(encoder, paths, whole, batch_size=2)
    stopped(encoder, paths, file, 3)
    part = next((tmp_path / "cut.npz.parts").glob("*.safetensors"))
    part.write_bytes(part.read_bytes()[:-5])
    embed_to_file(encoder, paths, file, batch_size=2)
    assert file.read_bytes() == whole.read_bytes()


def test_bad_files_are_all_listed_and_what_was_done_is_kept(network, paths, tmp_path):
    file = tmp_path / "features.safetensors"
    for number in (5, 8):
        paths[number].write_text("no image")
    with pytest.raises(BadFilesError, match=r"^2 of 9 files") as caught:
        embed_to_file(network(), paths, file, batch_size=2)
    assert [one.path for one in caught.value.bad] == [paths[5], paths[8]]
    assert not file.exists()
    found = embed_to_file(network(), paths, file, batch_size=2, skip_bad=True)
    assert (found.resumed, found.images, [one.path for one in found.skipped]) == (4, 7, [paths[5], paths[8]])
    for path in paths:
        path.write_text("no image")
    with pytest.raises(BadFilesError, match=r"^9 of 9 files"):
        embed_to_file(network(), paths, tmp_path / "other.npz", batch_size=2)
    assert not (tmp_path / "other.npz.parts").exists()  # nothing was done


def test_what_cannot_be_written_is_refused_at_once(network, paths, tmp_path, monkeypatch):
    with (
        claimed_folder(tmp_path / "mine.npz.parts"),
        pytest.raises(StorageError, match=r"embeds in .*mine\.npz\.parts"),
    ):
        embed_to_file(network(), paths, tmp_path / "mine.npz")
    with pytest.raises(ValueError, match="features are written as"):
        embed_to_file(network(), paths, tmp_path / "mine.csv")
    with pytest.raises(ValueError, match=r"embed needs images; got no file\."):
        embed_to_file(network(), [], tmp_path / "mine.npz")
    monkeypatch.setattr(table, "LARGEST_HEADER", 10**4 + 50)
    check_header(tmp_path / "mine.npz", ["a" * 100])
    with pytest.raises(ValueError, match=r"do not fit into the head of a \.safetensors.*Name a \.parquet"):
        check_header(tmp_path / "mine.safetensors", ["a" * 100])


def test_parts_are_of_whole_batches_and_their_number_is_bounded(network, tmp_path):
    lengths, making = {}, in_parts.Making(network(), outputs_of)
    for count in (10, 64_000, 64_001, 10**6, 10**7):
        run = in_parts._Run(making, range(count), tmp_path)
        lengths[count] = (run.length, run.count)
        assert run.count == -(-count // run.length)
    assert lengths[10] == (64, 1)
    assert lengths[64_000] == (64, 1000)
    assert lengths[64_001] == (128, 501)
    assert lengths[10**6] == (1024, 977)
    assert lengths[10**7] == (4096, 2442)


def test_a_name_that_is_no_text_is_written_wherever_the_format_can(network, paths, tmp_path):
    odd = paths[0].with_name(os.fsdecode(b"\xff.png"))
    paths[0].rename(odd)
    embed_to_file(network(), [odd, paths[1]], tmp_path / "a.parquet", batch_size=2)
    assert parquet.read_table(tmp_path / "a.parquet")["paths"].to_pylist() == [
        str(odd).replace("\udcff", "\\xff"),
        str(paths[1]),
    ]


COLUMNS = {
    "species": ["ant", "bee", "", "ant", "bee", "ant", "cat", "ant", "bee"],
    "number": ["3", "1", "4", "1", "5", "9", "2", "6", "5"],
    "weight": ["0.5", "", "1", "2", "3", "4", "5", "6", "7"],
    "code": ["007", *("12345678")],
    "field": [("wing", "leg"), (), ("leg",), *[("wing",)] * 6],
}
"""Of the nine pictures: words, whole numbers, numbers of which one is missing, words of digits, lists."""


@pytest.mark.parametrize("ending", [".npz", ".parquet", ".safetensors"])
def test_columns_of_a_table_stand_beside_the_features(network, paths, tmp_path, ending):
    file = tmp_path / f"features{ending}"
    paths[4].write_text("no image")
    embed_to_file(network(), paths, file, columns=COLUMNS, batch_size=2, skip_bad=True)
    if ending == ".parquet":
        written = parquet.read_table(file).to_pydict()
        lists = written["label_field"]
    elif ending == ".npz":
        with np.load(file) as content:
            written = {name: content[name].tolist() for name in content.files}
        lists = [cell.split(";") if cell else [] for cell in written["label_field"]]
    else:
        with safetensors.safe_open(file, "pt") as content:
            written = json.loads(content.metadata()["columns"])
        lists = written["label_field"]
    assert written["species"] == ["ant", "bee", "", "ant", "ant", "cat", "ant", "bee"]
    assert written["number"] == [3, 1, 4, 1, 9, 2, 6, 5]
    assert written["code"] == ["007", "1", "2", "3", "5", "6", "7", "8"]
    np.testing.assert_array_equal(written["weight"], [0.5, np.nan, 1, 2, 4, 5, 6, 7])
    assert lists == [["wing", "leg"], [], ["leg"], *[["wing"]] * 5]


def test_a_column_has_a_cell_for_each_picture(network, paths, tmp_path):
    with pytest.raises(ValueError, match="columns must have a cell for each of 9 paths; got 2 in 'species'"):
        embed_to_file(network(), paths, tmp_path / "a.npz", columns={"species": ["ant", "bee"]})
    assert not list(tmp_path.glob("a.*"))
