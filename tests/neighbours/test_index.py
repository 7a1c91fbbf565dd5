"""An index gives the nearest pictures, remembers what made it, and is asked by nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from eqmodels.data.pictures import open_picture
from eqmodels.evaluation import embed
from eqmodels.neighbours import NeighbourIndex
from eqmodels.storage import StorageError
from eqmodels.transforms import Preprocessing
from tests.neighbours.conftest import draw


def test_neighbours_are_those_of_the_largest_cosine(network, paths, tmp_path):
    encoder = network()
    features = embed(encoder, paths).features
    index = NeighbourIndex.build(encoder, paths, name="mine", batch_size=3)
    assert index.paths == tuple(map(str, paths))
    queries = [draw(tmp_path / "other.png", 99), paths[3]]
    seen = embed(encoder, queries).features
    centre = features.mean(0)
    cosines = F.cosine_similarity((seen - centre)[:, None], (features - centre)[None], dim=2)
    found = index.neighbours(encoder, [open_picture(path) for path in queries], 8)
    for row, expected in zip(found, cosines, strict=True):
        order = expected.argsort(descending=True)
        assert [one.path for one in row] == [str(paths[number]) for number in order]
        assert [one.similarity for one in row] == pytest.approx(expected[order].tolist(), abs=1e-5)
    assert (found[1][0].path, found[1][0].similarity) == (str(paths[3]), pytest.approx(1, abs=1e-5))
    assert [len(row) for row in index.neighbours(encoder, [open_picture(paths[0])], 99)] == [8]


@pytest.mark.parametrize("size", [None, (12, 16)])
def test_a_turned_query_finds_the_same(network, paths, size):
    encoder = network()
    index = NeighbourIndex.build(encoder, paths, size=size)
    upright = open_picture(paths[0])
    turns = [upright, upright.transpose(Image.Transpose.ROTATE_180)]
    if size is None:
        turns.append(upright.transpose(Image.Transpose.ROTATE_90))
    first, *others = index.neighbours(encoder, turns, 4)
    for other in others:
        assert [one.path for one in other] == [one.path for one in first]
        assert [one.similarity for one in other] == pytest.approx([one.similarity for one in first], abs=1e-5)


def test_what_is_written_is_read_again(network, paths, tmp_path):
    encoder, file = network(), tmp_path / "my.index"
    index = NeighbourIndex.build(encoder, paths, name="mine", grey=False)
    index.save(file)
    again = NeighbourIndex.load(file)
    assert (again.paths, again.network) == (index.paths, index.network)
    assert torch.equal(again.vectors, index.vectors)
    pictures = [open_picture(paths[1])]
    assert again.neighbours(encoder, pictures) == index.neighbours(encoder, pictures)


def test_an_index_is_asked_by_the_network_that_made_it(network, paths):
    encoder = network()
    index = NeighbourIndex.build(encoder, paths, name="mine")
    others = {"sha256": network("d4_resnet18s_w8"), "pooling": network(pool="regular"), "preprocessing": network()}
    images = others["preprocessing"].preprocessing
    others["preprocessing"].preprocessing = replace(images, mean=(0.4, 0.5, 0.5))
    others["preprocessing"].load_state_dict(encoder.state_dict())
    others["pooling"].load_state_dict(encoder.state_dict())
    for what, other in others.items():
        with pytest.raises(
            ValueError, match=f"^an index is asked by the network that made it, mine; .* another {what},"
        ):
            index.neighbours(other, [open_picture(paths[0])])
    assert isinstance(images, Preprocessing)


def test_a_file_that_is_no_index_is_refused(network, paths, tmp_path):
    file = tmp_path / "my.index"
    NeighbourIndex.build(network(), paths).save(file)
    whole = file.read_bytes()
    for content in (b"", b"none", whole[:-1], whole[:300], whole.replace(b'"format": 1', b'"format": 2')):
        file.write_bytes(content)
        with pytest.raises(StorageError, match=r"my\.index is no index of pictures that can be read"):
            NeighbourIndex.load(file)
    with pytest.raises(StorageError, match="no index"):
        NeighbourIndex.load(tmp_path / "absent")
