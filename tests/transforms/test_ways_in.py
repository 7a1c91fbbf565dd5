"""One preprocessing: pictures of every format, size and way to lie become one tensor, turned, by whatever way in."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eqmodels import create_model
from eqmodels.backbones.card import encoder_card
from eqmodels.backbones.describe import describe_network, preprocessing_from
from eqmodels.data import load_data, open_picture
from eqmodels.evaluation.reading import read_batches
from eqmodels.export.onnx import metadata_of
from eqmodels.groups import PlanarGroup
from eqmodels.transforms import Preprocessing

D4 = PlanarGroup.parse("d4")

LOSSLESS = {"png": {}, "bmp": {}, "ppm": {}, "tif": {"compression": "tiff_lzw"}, "webp": {"lossless": True}, "gif": {}}

QUARTERS = {1: 6, 2: 3, 3: 8}
"""What a camera notes of a picture that it put down turned by so many quarters anticlockwise."""


@pytest.fixture(scope="module")
def network():
    return create_model("c4_resnet18s_w4", in_chans=3).eval()


def write(file: Path, pixels: torch.Tensor) -> Path:
    """Writes pixels ``(3, H, W)`` as the ending says: without loss, of 16 bits, with an opacity, or as an array."""
    kind, levels = file.stem, pixels.movedim(0, -1).contiguous().numpy()
    if file.suffix == ".npy":
        np.save(file, pixels.numpy())
    elif kind.startswith("deep"):
        Image.fromarray(levels[..., 0].astype(np.uint16) * 257).save(file)
    elif kind.startswith("clear"):
        Image.fromarray(np.concatenate([levels, levels[..., :1]], -1)).save(file)
    elif file.suffix == ".gif":  # whose palette holds few colours
        Image.fromarray(levels[..., 0]).save(file)
    else:
        Image.fromarray(levels).save(file, **LOSSLESS[file.suffix[1:]])
    return file


def by_transform(network, file, size):
    return network.transform(size)(open_picture(file, 3))


def by_embedding(network, file, size):
    ((found,),) = read_batches(network, [file], size=size, batch_size=1, grey=False)
    return found.image


def by_folder(network, file, size):
    (image,) = load_data("image_folder", root=file.parents[1], size=size[0]).pixels(slice(None))
    return network.preprocessing.normalise(image[None])[0]


def by_stream(network, file, size):
    (image,) = load_data("image_folder", root=file.parents[1], size=size[0], stream=True).pixels(slice(None))
    return network.preprocessing.normalise(image[None])[0]


def by_onnx(network, file, size):
    """As who has nothing but the metadata of the file reads them."""
    said = json.loads(json.dumps(metadata_of(network, size)))
    rule = Preprocessing.from_json({**said, "deviation": said["std"]})
    return rule.transform()(open_picture(file, 3, background=said["background"]))


def by_config(network, file, size):
    """As who has nothing but the config of a folder."""
    said = json.loads(json.dumps(describe_network(network)))
    return preprocessing_from(said["preprocessing"]).transform(size)(open_picture(file, 3))


SQUARE = {by_folder, by_stream}
WAYS = (by_transform, by_embedding, by_folder, by_stream, by_onnx, by_config)


@settings(max_examples=12)
@given(
    shape=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    element=st.sampled_from(D4.elements),
    name=st.sampled_from([*(f"a.{ending}" for ending in LOSSLESS), "deep.png", "deep.tif", "clear.png", "a.npy"]),
    seed=st.integers(0, 99),
)
def test_every_way_in_gives_one_tensor_that_turns_with_the_file(network, shape, size, element, name, seed):
    network.preprocessing = Preprocessing((0.5, 0.4, 0.3), (1.0, 1.0, 1.0), (16, 16), "crop")
    generator = np.random.default_rng(seed)
    pixels = torch.from_numpy(generator.integers(0, 256, (3, *shape), dtype=np.uint8))
    with tempfile.TemporaryDirectory() as place:
        files = []
        for which, moved in (("upright", pixels), ("moved", D4.act(element, pixels))):
            Path(place, which, "train").mkdir(parents=True)
            files.append(write(Path(place, which, "train", name), moved.contiguous()))
        for sides in (size, (size[0], size[0])):
            expected = by_transform(network, files[0], sides)
            assert expected.shape == (3, *sides)
            turned = D4.act(element, expected)
            for way in WAYS if sides[0] == sides[1] else set(WAYS) - SQUARE:
                assert torch.equal(way(network, files[0], sides), expected), way
                found = way(network, files[1], tuple(turned.shape[-2:]))
                torch.testing.assert_close(found, turned, rtol=0, atol=1e-6)


@pytest.mark.parametrize("quarter", QUARTERS)
def test_every_way_in_turns_a_photograph_upright_as_its_camera_noted_it(network, quarter, tmp_path):
    network.preprocessing = Preprocessing((0.5, 0.4, 0.3), (1.0, 1.0, 1.0), (16, 16), "crop")
    content = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (30, 17, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((34, 60)).save(content, "JPEG")
    upright, noted = Image.open(content), Image.Exif()
    noted[0x0112] = QUARTERS[quarter]
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    (tmp_path / "train").mkdir()
    upright.transpose(turns[quarter - 1]).save(tmp_path / "train/a.png", exif=noted)
    expected = network.transform((15, 15))(upright)
    for way in WAYS:
        assert torch.equal(way(network, tmp_path / "train/a.png", (15, 15)), expected), way


def test_timm_and_the_card_are_told_of_the_same_rule(network):
    network.preprocessing = Preprocessing((0.5, 0.4, 0.3), (0.25, 0.2, 0.1), (20, 24), "squash", "black")
    cfg = describe_network(network)["pretrained_cfg"]
    assert (cfg["input_size"], cfg["mean"], cfg["std"]) == ([3, 20, 24], [0.5, 0.4, 0.3], [0.25, 0.2, 0.1])
    assert (cfg["crop_mode"], cfg["crop_pct"]) == ("squash", 1.0)
    card = " ".join(encoder_card(network).content.split())
    assert "laid on black where they are transparent, squashed to 20 x 24 pixels (height x width)" in card
    assert "normalised by the mean 0.5, 0.4, 0.3 and the deviation 0.25, 0.2, 0.1" in card
    network.preprocessing = Preprocessing((0.5,) * 13, (0.25,) * 13, (20, 24))
    said = network.preprocessing.describe()
    assert "cropped to the largest part in the middle of these proportions and resized to 20 x 24 pixels" in said
    assert "the mean 0.5 (of 13 channels)" in said
