"""The documentation site: every document has its page, links lead on, and what is broken is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.links import check_site
from tools.site import FRONT, document, linked, moved, origin, reference, target

ROOT = Path(__file__).parents[2]
NAVIGATION = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n")[1]


def test_every_document_is_in_the_list_of_pages():
    listed = set(re.findall(r"([\w/-]+\.md)$", NAVIGATION, re.MULTILINE))
    documents = {file.relative_to(ROOT / "docs").as_posix() for file in (ROOT / "docs").rglob("*.md")}
    assert listed == documents | {"index.md", "changelog.md", "contributing.md", "security.md"}


def test_every_package_that_is_meant_for_users_is_in_the_reference():
    assert {"eqmodels", "eqmodels.layers", "eqmodels.objectives", "eqmodels.bench", "eqmodels.sklearn"} <= {
        *reference()
    }
    assert not {"eqmodels.cli", "eqmodels.processes"} & {*reference()}


def test_the_front_page_is_readme_in_short():
    front = document("README.md")
    assert re.findall(r"^## (.*)$", front, re.MULTILINE) == list(FRONT)
    assert front.startswith("# eqmodels\n")
    assert len(front) < len((ROOT / "README.md").read_text("utf-8"))


def test_links_lead_from_page_to_page():
    assert moved("[a](docs/bench.md#x)", "README.md", "index.md") == "[a](bench.md#x)"
    assert moved("[c](https://d.e) [g](nowhere.md)", "README.md", "index.md") == "[c](https://d.e) [g](nowhere.md)"
    assert moved("see [`z`](zoo) and [the zoo](zoo)", "README.md", "index.md") == "see `z` and `the zoo`"
    assert moved("[a](../examples/own_task.py)", "docs/bench.md", "bench.md") == "[a](repository/examples/own_task.py)"
    assert moved("[a](../adapt.md)", "docs/recipes/timm.md", "recipes/timm.md") == "[a](../adapt.md)"
    block = "```\n[a](docs/bench.md)\n```"
    assert moved(block, "README.md", "index.md") == block


def test_a_page_knows_where_it_is_from():
    for place in ("README.md", "docs/bench.md", "docs/recipes/timm.md", "benchmarks/results/imports.md"):
        uri = target(place)
        assert uri is not None
        assert origin(uri) == place
    assert target("zoo") is None


def test_what_pages_link_to_is_a_part_of_the_site():
    assert "examples/own_task.py" in linked()
    assert "benchmarks/results/speed/pretraining_step.md" in linked()
    assert all((ROOT / place).is_file() for place in linked())


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="there.html#known">', None),
        ('<a href="https://elsewhere">', None),
        ('<a href="#own"></a><i id="own">', None),
        ('<a href="gone.html">', "a.html links to gone.html, which is not there"),
        ('<a href="there.html#gone">', "a.html links to there.html#gone, which has no such anchor"),
        ('<a href="#gone">', "a.html links to #gone, which has no such anchor"),
        ('<script src="https://x/y.js">', "a.html loads https://x/y.js, for which it needs a network"),
        ('<link rel="stylesheet" href="gone.css">', "a.html loads gone.css, which is not there"),
        ('<img src="data:image/png;base64,">', None),
    ],
)
def test_what_is_broken_is_found(page, fault, tmp_path):
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "there.html").write_text('<h2 id="known">')
    assert check_site(tmp_path).faults == ([] if fault is None else [fault])


def test_a_style_that_fetches_is_found(tmp_path):
    (tmp_path / "a.css").write_text("@font-face { src: url('//fonts/x.woff2') } b { background: url(own.png) }")
    assert check_site(tmp_path).faults == ["a.css loads //fonts/x.woff2"]
