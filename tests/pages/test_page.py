"""The page of a benchmark: one file, with everything that was measured, and nothing that does anything else."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
import torch

from eqmodels import create_model
from eqmodels.cli import main
from eqmodels.data import load_data
from eqmodels.pages import benchmark, libraries, write_page
from eqmodels.pages.maps import STEP, turning_maps
from eqmodels.pages.markdown import as_html
from eqmodels.pages.networks import KnownNetwork, known_network
from eqmodels.storage import StorageError
from tests.pages.conftest import FRESH, OURS, PLAIN, Reader, benchmark_lines

HOSTILE = "</script><img src=x onerror=alert(1)>"


def script(page, name):
    (found,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    return json.loads(found)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    place = tmp_path_factory.mktemp("page")
    (place / "results.jsonl").write_text("\n".join(benchmark_lines()))
    told = []
    assert write_page(place, report=told.append) == place / "index.html"
    assert {OURS, PLAIN, FRESH} <= set(told)
    return (place / "index.html").read_text(encoding="utf-8")


def test_the_page_is_one_file_that_asks_for_no_other(page):
    reader = Reader(page)
    assert len(page.encode()) < 5_000_000
    outward = [one for one in reader.references if not one.startswith(("data:", "#"))]
    assert all(one.startswith("https://arxiv.org/") for one in outward)  # links of the cards
    assert not [one for tag, one in reader.found if tag == "script" and "src" in one]
    assert "sourceMappingURL" not in page


def test_every_address_within_the_page_is_a_place_of_it_and_every_place_has_a_name_of_its_own(page):
    reader = Reader(page)
    assert len(set(reader.ids)) == len(reader.ids)
    assert {one[1:] for one in reader.references if one.startswith("#")} <= set(reader.ids)
    assert {one["for"] for tag, one in reader.found if tag == "label" and "for" in one} <= set(reader.ids)
    assert all(one.get("alt") for tag, one in reader.found if tag == "img")


def test_the_table_has_every_network_and_charts_have_their_places(page):
    table = re.search(r'<table id="all".*?</table>', page, re.DOTALL)[0]
    assert [name in table for name in (OURS, PLAIN, FRESH)] == [True] * 3
    assert "55.0 ± " in table
    assert "promises none" in table
    reader = Reader(page)
    assert set(script(page, "charts")) <= set(reader.ids)
    assert len(script(page, "charts")) >= 3 + 1 + 2 * 2


def test_the_page_of_a_network_has_card_layers_recipe_and_training(page):
    article = next(
        one for one in re.findall(r'<article class="network".*?</article>', page, re.DOTALL) if f">{OURS}</h2>" in one
    )
    for words in ("Errors of its layers", "Recipe", "Training", "Card", "Intended use, and limits", "layer4.1"):
        assert words in article


def test_maps_of_both_networks_turn(page):
    ((ours, plain),) = script(page, "turning")
    assert (ours["name"], plain["name"]) == (OURS, PLAIN)
    quarter = 90 // STEP
    assert max(ours["changes"][quarter::quarter]) < 1e-5
    assert min(plain["changes"][quarter::quarter]) > 0.1


def test_what_is_damaged_is_a_note_and_what_is_nowhere_too(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "log.csv").write_text("epoch,loss\n1,much\n")
    found = known_network(str(tmp_path))
    assert found.encoder is None
    assert [note.partition(":")[0] for note in found.notes][:3] == ["No encoder", "No recipe", "No log"]
    assert "random weights" in known_network(FRESH).notes[0]


def test_names_do_nothing_in_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "known_network", KnownNetwork)
    lines = benchmark_lines((HOSTILE, PLAIN, FRESH))
    (tmp_path / "results.jsonl").write_text("\n".join(lines))
    page = write_page(tmp_path).read_text(encoding="utf-8")
    assert HOSTILE not in page
    assert HOSTILE in {one["network"] for one in script(page, "charts")["chart-0"]["data"]["values"]}
    assert not [one for tag, one in Reader(page).found if "onerror" in one]


def test_a_card_can_do_nothing():
    words = "# Title\n\n<b onclick=x>bold</b> [a](javascript:alert(1)) [b](https://a.b) in ![c](c.png)\n\n"
    words += "<script>x</script>"
    found = as_html(f"{words}\n\n![picture](turns.png)\n\n## Part\n\n| a |\n|---|\n| 1 |\n")
    assert not re.search(r"<(b|script|img)[ >]|javascript:|Title|\.png", found)
    assert '<a href="https://a.b">' in found
    assert "<h4>Part</h4>" in found
    assert 'role="region"' in found


def test_a_page_that_would_be_too_large_is_not_written(folder, monkeypatch):
    monkeypatch.setattr(benchmark, "known_network", KnownNetwork)
    monkeypatch.setattr(benchmark, "LARGEST", 1000)
    with pytest.raises(StorageError, match=r"the page of 3 networks would have .* Measure fewer networks"):
        write_page(folder)
    assert not (folder / "index.html").exists()


def test_maps_show_a_network_as_it_is():
    torch.manual_seed(0)
    image = load_data("openclipart_mini", "test").pixels(slice(0, 1))[0]
    maps = turning_maps("net", create_model("c4_resnet18_w8").eval(), image[:, :48, :48])
    assert len(maps.images) == len(maps.maps) == len(maps.back) == len(maps.changes) == 360 // STEP
    assert maps.changes[0] == 0
    assert max(maps.changes[90 // STEP :: 90 // STEP]) < 1e-5 < min(maps.changes[1 : 90 // STEP])
    # Turned back, the picture of a quarter is that of the upright image, up to rounding to 8 bits.
    assert maps.stage == "stem"
    assert maps.maps[90 // STEP] != maps.maps[0]


@pytest.mark.parametrize("one", libraries.versions(), ids=lambda one: one["package"])
def test_other_peoples_code_is_what_it_says_and_licensed(one):
    read = libraries.style if one["path"].endswith(".css") else libraries.script
    assert len(read(one["package"])) > 10_000
    file = benchmark.Path(libraries.__file__).parent / "vendored" / one["path"].rpartition("/")[2]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == one["sha256"]
    assert f"{one['package']} {one['version']}" in libraries.licenses()


def test_code_that_was_changed_is_refused(monkeypatch):
    changed = [{"package": "vega", "version": "1", "path": "x/vega.min.js", "sha256": ""}]
    monkeypatch.setattr(libraries, "versions", lambda: changed)
    with pytest.raises(StorageError, match=r"vega\.min\.js of vega 1 .* is not the file of its sha256"):
        libraries.script("vega")


def test_the_command_says_where_the_page_is_and_what_a_demo_lacks(folder, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "known_network", KnownNetwork)
    monkeypatch.chdir(folder)
    assert main(["page", str(folder)]) == 0
    out = capsys.readouterr()
    assert out.out == f"page: {folder / 'index.html'}\n"
    assert "No demo: a live demo needs onnxruntime-web" in out.err
    assert "Run: npm install onnxruntime-web@" in out.err
    assert main(["page", str(folder), "--no-demo", "--quiet", "--json"]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    assert json.loads(out.out) == {"page": str(folder / "index.html"), "demo": None}
    assert main(["page", str(folder), "--demo"]) != 0
    assert "npm install" in capsys.readouterr().err
    (folder / "demo.html").write_text("a demo")
    assert main(["page", str(folder), "--quiet"]) == 0
    assert capsys.readouterr().out.endswith(f"demo: {folder / 'demo.html'}\n")
    assert 'href="demo.html"' in (folder / "index.html").read_text(encoding="utf-8")


def test_the_command_refuses_a_folder_that_is_no_benchmark(tmp_path, capsys):
    assert main(["page", str(tmp_path)]) != 0
    assert "eqmodels bench --out" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
