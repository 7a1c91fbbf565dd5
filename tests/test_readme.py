"""README is true: its code runs as printed, and its numbers are those of the committed tables."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from benchmarks._sections import read_section
from benchmarks.distil.finetuned import STUDENT
from benchmarks.distil.goals import TEACHER, TWIN
from benchmarks.distil.measure import group_mean
from benchmarks.distil.tables import REFERENCE, WIDE, found
from benchmarks.speed import readme
from eqmodels import create_model, data, list_models
from eqmodels.cli import build_parser, main
from eqmodels.reports import percent
from tests.hub_server import HubServer, User

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_ten_lines_run_as_printed():
    code, *_ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(code.strip().splitlines()) == 10
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert "torch.Size([8, 256])" in printed.getvalue()
    assert float(printed.getvalue().split()[-1]) < 1e-4


def test_the_first_figures_are_those_that_were_measured():
    """What a probe knows of stamps: by canonical features, the twin, the teacher and the wide network."""
    rows, wide = (found()[name]["stamps"] for name in (STUDENT, WIDE))
    printed = re.findall(r"(\d+\.\d)%", README.split("**Not exact**")[1].split("\n\n")[0])
    views = [(REFERENCE, "upright"), *((row, view) for row in (TWIN, TEACHER) for view in ("upright", "turned"))]
    expected = [percent(group_mean(rows[row]["accuracy"], view)) for row, view in views]
    assert printed == [*expected, percent(group_mean(wide[REFERENCE]["accuracy"], "turned"))]
    assert group_mean(rows[REFERENCE]["accuracy"], "turned") == pytest.approx(
        group_mean(rows[REFERENCE]["accuracy"], "upright"), abs=1e-3
    )


def test_the_zoo_is_used_as_printed(tmp_path, monkeypatch, capsys):
    """Every block of code in turn, on an eighth of the images, then every command, with a Hub of our own."""
    section = README.split("## Use the zoo")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    commands = re.findall(r"^eqmodels (.*)$", section, re.MULTILINE)
    assert len(blocks) == 4
    assert [command.split()[0] for command in commands] == ["publish", "verify", "verify", "download"]
    monkeypatch.chdir(tmp_path)
    whole = data.load_data
    monkeypatch.setattr(data, "load_data", lambda *chosen: (found := whole(*chosen)).balanced_subset(len(found) // 8))
    (tmp_path / "zoo").symlink_to(ROOT / "zoo")
    tokens = {"hf_writer": User("organisation", write=True)}
    with HubServer(tokens) as server, server.client(tmp_path / "cache", token="hf_writer"):
        names: dict[str, object] = {}
        for block in blocks:
            assert sum(map(bool, block.splitlines())) <= 5
            exec(compile(block, "README.md", "exec"), names)
        accuracy = float(capsys.readouterr().out.split()[-1])
        assert accuracy > 0.75
        for command in commands:
            assert main(shlex.split(command)) == 0


def test_the_commands_are_understood():
    """Every line that begins with the program's name parses, up to files that do not exist."""
    lines = re.findall(r"^(?:torchrun .*-m )?eqmodels (.*)$", README, re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        build_parser().parse_args(shlex.split(line))


def test_the_speed_section_is_that_of_the_committed_tables():
    assert read_section(readme.DOCUMENT, readme.SECTION) == readme.section()


@pytest.mark.parametrize("name", ["resnet18s", "c4_resnet50s", "d4_wide_resnet16_8", "d8_wide_resnet28_10"])
def test_the_families_of_the_table_of_names_exist(name):
    assert name in list_models()


def test_the_options_that_are_named_exist():
    restricted = create_model("d8_wide_resnet16_8_w16", restrict=("d8", "d4", "d1"), global_pool="regular")
    assert restricted.describe_output()


def test_the_map_names_what_is_there():
    paths = re.findall(r"^(\S+/\S*)\s{2,}", README.split("## Map")[1], re.MULTILINE)
    assert len(paths) >= 8
    assert [path for path in paths if not (ROOT / path).exists()] == []


DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_somewhere(file):
    links = [link for link in re.findall(r"\]\(([^)#]+)", file.read_text()) if not link.startswith("http")]
    assert [link for link in links if not (file.parent / link).exists()] == []
