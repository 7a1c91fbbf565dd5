"""``eqmodels neighbours`` and ``duplicates``: what they print and write, and their exit status."""

from __future__ import annotations

import csv
import json
import re

import pytest
from PIL import Image

from eqmodels import create_model
from eqmodels.cli import main, neighbours
from eqmodels.transforms import Preprocessing
from tests.neighbours.conftest import draw


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The folder of a small network."""
    encoder = create_model("d4_resnet18s_w8", num_classes=0, global_pool="invariant").eval()
    encoder.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (12, 12), "squash")
    folder = tmp_path_factory.mktemp("networks") / "small"
    encoder.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of five pictures; one is there twice, turned."""
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        draw(tmp_path / f"mine/{number}.png", number)
    with Image.open(tmp_path / "mine/0.png") as picture:
        picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "mine/turned.png")
    return tmp_path / "mine"


def test_neighbours_are_printed_shown_and_given_as_json(network, pictures, capsys, monkeypatch):
    command = ["neighbours", network, "mine", "--query", "mine/0.png", "--count", "2"]
    assert main([*command, "--page", "page.html"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "mine/0.png"
    assert lines[1] == f"  1.000  {pictures / 'turned.png'}"
    assert lines[3:] == ["  turned: the same", "  mirrored: the same", "page: page.html"]
    assert err.startswith("5 images, 8 features each")
    page = (pictures.parent / "page.html").read_text()
    assert len(page) < 100_000
    assert page.count("url(data:image/jpeg;base64,") == 5  # the query in three ways, and two neighbours
    assert page.count('<div class="picture p') == 9
    assert "the same neighbours" in page
    assert re.search(r"(src|href)=(?!\"data:)|url\((?!data:)", page) is None  # nothing is fetched
    monkeypatch.setattr(neighbours, "SHOWN", 1)
    assert main(["neighbours", network, "mine", "--query", "mine/0.png", "mine/1.png", "--page", "page.html"]) == 0
    out = capsys.readouterr().out
    assert out.count("mirrored: ") == 1
    assert out.endswith("page: page.html, which has 1 more query\n")
    assert main([*command, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    (query,) = content["queries"]
    assert content["images"] == 5
    assert content["network"]["name"] == network
    assert query["same"] == {"turned": True, "mirrored": True}
    assert query["neighbours"]["upright"][0] == {"path": str(pictures / "turned.png"), "similarity": 1.0}


def test_an_index_is_written_once_and_asked_later(network, pictures, capsys):
    assert main(["neighbours", network, "mine", "--index", "my.index", "--size", "16"]) == 0
    assert capsys.readouterr().err == "my.index: 5 images, 8 features each\n"
    command = ["neighbours", network, "--index", "my.index", "--query", "mine", "--json"]
    assert main(command) == 0
    content = json.loads(capsys.readouterr().out)
    assert [query["path"] for query in content["queries"]] == [f"mine/{name}.png" for name in (0, 1, 2, 3, "turned")]
    assert content["network"]["size"] == [16, 16]
    for wrong, sentence in (
        ([*command, "--features", "regular"], "an index is asked by the network that made it"),
        ([*command, "--size", "12"], "--size is that of the index, (16, 16). Leave it out"),
        (["neighbours", network, "--query", "mine"], "Name IMAGES, or --index FILE."),
        (["neighbours", network, "mine"], "what is sought is named by --query IMAGES"),
        (["neighbours", network, "mine", "--index", "i", "--page", "p.html"], "a page shows the neighbours of queries"),
        ([*command, "--count", "0"], "--count is at least 1; got 0"),
    ):
        assert main(wrong) == 2
        assert sentence in capsys.readouterr().err
    (pictures.parent / "my.index").write_text("none")
    assert main(command) == 1
    assert "my.index is no index of pictures that can be read" in capsys.readouterr().err
    (pictures / "1.png").write_text("none")
    assert main(["neighbours", network, "mine/0.png", "--query", "mine/1.png"]) == 2
    assert "mine/1.png cannot be asked for: it is of none of the formats" in capsys.readouterr().err


def test_duplicates_are_printed_written_and_shown(network, pictures, capsys):
    command = ["duplicates", network, "mine"]
    assert main([*command, "--out", "pairs.csv", "--page", "pairs.html"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("5 images: 2 files hold one picture that is there several times\n")
    assert out.endswith("\npairs: pairs.csv\npage: pairs.html\n")
    *words, difference = out.splitlines()[-3].split()
    assert (words, float(difference)) == (["mine/0.png", "mine/turned.png", "90°"], pytest.approx(0, abs=1e-3))
    with (pictures.parent / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert float(row.pop("difference")) < 1e-3
    assert row == {
        "group": "0",
        "first": "mine/0.png",
        "second": "mine/turned.png",
        "element": "1",
        "move": "90°",
    }
    page = (pictures.parent / "pairs.html").read_text(encoding="utf-8")
    assert page.count("url(data:image/jpeg;base64,") == 2
    assert "<b>90°</b> turned.png" in page
    assert "Files are in mine/." in page
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["groups"] == [["mine/0.png", "mine/turned.png"]]
    (pictures / "turned.png").unlink()
    assert main(command) == 0
    assert capsys.readouterr().out == "4 images, and none is there twice\n"
    for wrong, sentence in (
        (["--out", "pairs.txt"], "duplicates are written as .csv (--out) and .html (--page); got pairs.txt"),
        (["--candidates", "0"], "--candidates is at least 1; got 0"),
    ):
        assert main([*command, *wrong]) == 2
        assert sentence in capsys.readouterr().err
