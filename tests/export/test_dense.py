"""Dense networks in other forms: stock modules, ONNX and `torch.export`, with the same output of every pixel."""

from __future__ import annotations

import onnxruntime
import pytest
import torch
from torch.testing import assert_close

from eqmodels import create_model
from eqmodels.export import export_network, to_onnx, to_plain

OUTPUT = "2 x scalar + 1 x vector(c4)"


def assert_same(found, expected):
    assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("kind", "encoder", "size"),
    [
        ("unet", "c4_resnet18_w8", (30, 27)),
        ("unet", "c4_wide_resnet16_8_w8", "any"),
        ("fpn", "c4_resnet18_w8", (30, 27)),
    ],
    ids=str,
)
def test_a_plain_network_is_of_stock_modules_alone(kind, encoder, size, randomised):
    model = randomised(create_model(kind, encoder=encoder, out_field=OUTPUT)).eval()
    plain = to_plain(model, size=size, fold_batch_norm=True)
    assert [type(one) for one in plain.modules() if type(one).__module__.startswith("eqmodels")] == []
    with torch.no_grad():
        for height, width in ((30, 27), *([(33, 48), (17, 16)] if size == "any" else [])):
            images = torch.randn(2, 3, height, width)
            assert_same(plain(images), model(images))


@pytest.mark.tracing
@pytest.mark.usefixtures("shallow")
def test_onnxruntime_computes_the_same_of_every_pixel(tmp_path, randomised):
    model = randomised(create_model("unet", encoder="c4_resnet18s_w4", out_field=OUTPUT)).eval()
    file = to_onnx(model, tmp_path / "unet.onnx", size=(18, 15))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    images = torch.randn(3, 3, 18, 15)
    (found,) = session.run(["output"], {"images": images.numpy()})
    with torch.no_grad():
        assert_same(torch.from_numpy(found), model(images))
    assert session.get_modelmeta().custom_metadata_map["out_field"] == f'"{OUTPUT}"'


@pytest.mark.slow
@pytest.mark.tracing
@pytest.mark.parametrize("kind", ["unet", "fpn"])
@pytest.mark.parametrize("size", [(64, 48), "any"], ids=str)
def test_every_format_holds_what_the_network_computes(kind, size, tmp_path, randomised):
    """`export_network` compares the file with the network, upright and turned."""
    model = randomised(create_model(kind, encoder="c4_resnet18_w8", out_field=OUTPUT)).eval()
    for ending in ("onnx", "pt") if size == "any" else ("onnx", "pt", "pt2", "ts"):
        parity = export_network(model, tmp_path / f"network.{ending}", size=size)
        assert parity.upright < 1e-4 * parity.scale


@pytest.mark.slow
@pytest.mark.tracing
@pytest.mark.usefixtures("shallow")
def test_the_network_itself_is_exported_by_torch(randomised):
    model = randomised(create_model("unet", encoder="c4_resnet18s_w4", num_classes=2)).eval()
    images = torch.randn(2, 3, 10, 9)
    program = torch.export.export(model, (images,))
    with torch.no_grad():
        assert_same(program.module()(images), model(images))
