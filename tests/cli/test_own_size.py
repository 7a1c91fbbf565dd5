"""Networks are judged on images of the size at which they learned, unless another is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from eqmodels import create_model
from eqmodels.bench import SUITES, planned
from eqmodels.cli import evaluate as command
from eqmodels.cli import main
from eqmodels.transforms import Preprocessing

SIDE = 20
RANDOM = "random:timm:mobilenetv3_small_050"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    """The folder of an encoder of images of 20 pixels."""
    folder = tmp_path_factory.mktemp("encoder")
    network = create_model("c4_resnet18s_w4", num_classes=0)
    network.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (SIDE, SIDE), "crop")
    network.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> str:
    """A folder of pictures of many sizes, as people have them."""
    root, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(24):
        file = root / ("train" if number < 16 else "test") / ("ant" if number % 2 else "bee") / f"{number}.png"
        file.parent.mkdir(exist_ok=True, parents=True)
        levels = generator.integers(0, 256, (11 + number, 30 - number, 3), dtype=np.uint8)
        Image.fromarray(levels).save(file)
    return str(root)


@pytest.fixture
def sizes(monkeypatch):
    """The sizes of the training and test images that were to be measured, whose measurement does not begin."""
    found = []

    def evaluate(network, train, test, **options):
        found.extend([train.size, test.size])
        raise ValueError("enough")

    monkeypatch.setattr(command, "evaluate", evaluate)
    return found


def test_a_folder_of_pictures_of_many_sizes_is_read_in_the_networks_own(encoder, pictures, sizes):
    main(["evaluate", encoder, "--data", "image_folder", "--root", pictures])
    assert sizes == [(SIDE, SIDE)] * 2


def test_a_size_that_is_asked_for_is_taken(encoder, pictures, sizes, capsys):
    main(["evaluate", encoder, "--data", "image_folder", "--root", pictures, "--size", "9"])
    assert sizes == [(9, 9)] * 2
    assert "pixels made" not in capsys.readouterr().err


def test_images_of_one_size_are_resized_and_that_is_said(encoder, sizes, capsys):
    main(["evaluate", encoder, "--data", "openclipart_mini"])
    assert sizes == [(SIDE, SIDE)] * 2
    assert "openclipart_mini: 64 x 64 pixels made 20 x 20, as the network takes" in capsys.readouterr().err


@pytest.mark.usefixtures("sizes")
def test_images_that_fit_are_left_alone(tiny_run, capsys, few_images):
    main(["evaluate", str(tiny_run)])
    assert "pixels made" not in capsys.readouterr().err


def test_a_benchmark_shows_each_pretrained_network_its_own_size(encoder, pictures):
    for data in (None, pictures):
        plan = planned(SUITES["quick"], models=[encoder, RANDOM, "c4_resnet18s_w4"], data=data)
        found = {cell.values["model"]: cell.values["size"] for cell in plan.cells if cell.kind == "quality"}
        assert found[encoder] == [SIDE, SIDE]
        assert found["c4_resnet18s_w4"] != [SIDE, SIDE]
        assert data is not None or found[RANDOM] == [64, 64]  # which says 224, and learned nothing there


def test_a_network_of_the_zoo_that_was_trained_again_is_measured_again():
    plan = planned(SUITES["quick"], models=["c4_resnet18s_w16.rot_fmnist_simclr"], kinds=["cost"])
    assert [len(cell.values["weights"]) for cell in plan.cells] == [16]
