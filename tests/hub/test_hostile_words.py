"""Words of files and folders are words: they are no tags, links, headings or formulas, and do nothing to a terminal."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import eqmodels.cli
from eqmodels.cli import main
from eqmodels.cli.terminal import for_terminal
from eqmodels.hub.card import model_card
from eqmodels.hub.entries import read_results
from eqmodels.hub.picture import turns_picture
from eqmodels.reports import Table
from eqmodels.storage import for_markdown
from tests.hub.networks import NAME, REPOSITORY, network, rewrite, write

HOSTILE = "x](javascript:alert(1)) <script>alert(2)</script> `code` | cell\n# Heading\n\n![a](http://b) $\\frac$"


def spoiled(folder: Path) -> Path:
    """Hostile words wherever a file of the network may hold any."""

    def config(content):
        content["pretrained_cfg"]["license"] = HOSTILE[:99]
        content["provenance"].update(machine=HOSTILE, torch=[HOSTILE], threads={HOSTILE: HOSTILE})
        content["provenance"]["data"]["name"] = HOSTILE

    def results(content):
        measured = content["evaluation"]
        measured["test"][0] = measured["train"][0] = HOSTILE
        measured["tasks"][0]["task"] = HOSTILE
        measured["equivariance_error"] = {HOSTILE: 1e-7}

    rewrite(folder / "config.json", config)
    rewrite(folder / "results.json", results)
    return folder


def test_the_card_holds_no_tag_link_or_heading_of_others(folder):
    before = model_card(folder, REPOSITORY)
    after = model_card(spoiled(folder), REPOSITORY).split("---", 2)[2]
    assert "javascript:alert" in after  # as words
    for active in ("<", "](javascript", "![a]", "\n# Heading", "` code"):
        assert active not in after
    for sign, kept in (("](", r"\]\("), ("`", "`"), ("#", r"(?m)^#+ "), ("|", r"\|")):
        assert len(re.findall(kept, after)) <= len(re.findall(kept, before)), sign


def test_nor_does_the_name_of_a_folder(tmp_path):
    name = "c4_<script>[x](javascript:y)`.z"
    card = model_card(write(tmp_path / name, network(NAME)), REPOSITORY).split("---", 2)[2]
    assert card.strip().startswith("# c4_(script)(x)(javascript:y)'.z\n")
    assert "<script>" not in card


def test_a_picture_takes_no_name_for_a_formula(folder):
    assert turns_picture({r"a$\frac$b\ud800$\x$": read_results(folder)}).startswith(b"\x89PNG")


def test_tables_of_a_study_have_no_cells_of_others():
    table = Table(["a", "b"], [["x | y", "<b>[c](d)</b>\n# e"]], "title")
    assert table.markdown().splitlines()[2:] == ["| x / y | (b)(c)(d)(/b) # e |"]


@pytest.mark.parametrize("words", ["\x1b[31mred", "\x1b]0;title\x07", "a\rb", "\u202eabc", "\x9b1m", "\udcff"])
def test_a_terminal_shows_signs_and_does_nothing(words):
    shown = for_terminal(f"{words}\n\tend")
    assert shown.replace("\n", "").replace("\t", "").isprintable()
    assert shown.endswith("\n\tend")
    assert for_markdown(words).isprintable()


@pytest.mark.parametrize("command", [["verify"], ["evaluate"], ["publish", "--repo", "org/name"]])
def test_the_name_of_a_folder_does_nothing_to_the_terminal(tmp_path, capsys, command):
    folder = write(tmp_path / "\x1b[31m\x1b]0;title\x07", network())
    (folder / "results.json").write_text("none")
    main([*command, str(folder)])
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert "\x07" not in printed.out + printed.err


def test_every_command_prints_by_say_alone():
    for file in Path(eqmodels.cli.__file__).parent.glob("*.py"):
        if file.name != "terminal.py":
            assert not re.search(r"(?<![\w.`])print\(", file.read_text("utf-8")), file


def test_printing_imports_nothing_large():
    code = "import eqmodels.cli.terminal, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
