"""Classes and an index of pictures in a file: what is written at once, however often it was stopped."""

from __future__ import annotations

import pytest
import torch

from eqmodels import create_model
from eqmodels.data.pictures import BadFilesError
from eqmodels.evaluation import predict, predict_to_file
from eqmodels.neighbours import NeighbourIndex, index_to_file
from eqmodels.transforms import Preprocessing
from tests.data.test_folder import save


class Stopped(BaseException):
    """Like Ctrl-C, and not mistaken for it by pytest."""


@pytest.fixture
def paths(tmp_path):
    """Seven pictures of different sizes, four parts of batches of two; the fourth is none."""
    for number in range(7):
        save(tmp_path / f"mine/{number}.png", size=(9 + number, 12), seed=number)
    (tmp_path / "mine/3.png").write_text("no image")
    return sorted((tmp_path / "mine").glob("*.png"))


def network(classes):
    torch.manual_seed(0)
    made = create_model("c4_resnet18s_w4", in_chans=3, num_classes=classes, global_pool="canonical")
    made.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (8, 8))
    return made.eval()


def classes_at_once(paths, file):
    predict(network(5), paths, top=2, batch_size=2, skip_bad=True).save(file)


def classes_in_parts(paths, file, **options):
    return predict_to_file(network(5), paths, file, top=2, batch_size=2, **options)


def index_at_once(paths, file):
    NeighbourIndex.build(network(0), paths, name="mine", batch_size=2, skip_bad=True).save(file)


def index_in_parts(paths, file, **options):
    return index_to_file(network(0), paths, file, name="mine", batch_size=2, **options)


WAYS = {
    "classes.csv": (classes_at_once, classes_in_parts),
    "classes.json": (classes_at_once, classes_in_parts),
    "my.index": (index_at_once, index_in_parts),
}


@pytest.mark.parametrize("name", WAYS)
def test_what_was_stopped_goes_on_to_what_is_written_at_once(paths, tmp_path, name):
    at_once, in_parts = WAYS[name]
    file, other, left = tmp_path / name, tmp_path / f"once {name}", [2]
    at_once(paths, other)

    def count(_):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped

    with pytest.raises(Stopped):
        in_parts(paths, file, skip_bad=True, progress=count)
    assert not file.exists()
    with pytest.raises(BadFilesError, match=r"^1 of 7 files"):
        in_parts(paths, file)
    said = []
    found = in_parts(paths, file, skip_bad=True, report=said.append)
    assert len(said) == 1
    assert said[0].startswith("resumed with ")
    assert (found.images, [one.path.name for one in found.skipped]) == (6, ["3.png"])
    assert found.resumed in (2, 4, 6, 7)
    assert file.read_bytes() == other.read_bytes()
    assert not file.with_name(f"{name}.parts").exists()


def test_the_classes_are_counted(paths, tmp_path):
    found = classes_in_parts(paths, tmp_path / "a.csv", skip_bad=True)
    labels = predict(network(5), paths, batch_size=2, skip_bad=True).labels[:, 0].tolist()
    assert found.counts == {str(label): labels.count(label) for label in set(labels)}
    assert list(found.counts.values()) == sorted(found.counts.values(), reverse=True)


def test_what_cannot_be_begun_leaves_nothing(paths, tmp_path):
    for call, sentence in (
        (lambda: predict_to_file(network(0), paths, tmp_path / "a.csv"), "takes a network with a classifier"),
        (lambda: predict_to_file(network(5), paths, tmp_path / "a.txt"), "predictions are written as"),
        (lambda: predict_to_file(network(5), [], tmp_path / "a.csv"), "predict needs images; got no file"),
        (lambda: index_to_file(network(5), paths, tmp_path / "a.index"), "takes a network without a classifier"),
        (lambda: index_to_file(network(0), [], tmp_path / "a.index"), "an index needs images; got no file"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
