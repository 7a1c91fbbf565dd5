"""The document and the report of the study of synergy show what was measured and committed."""

from __future__ import annotations

import pytest

from benchmarks import synergy
from benchmarks._sections import read_section, write_section
from eqmodels.studies import read_study, study_tables


@pytest.fixture(scope="module")
def study():
    return read_study(synergy.FOLDER)


def test_the_study_is_whole(study):
    assert tuple(study.cells) == study.plan.cells()


def test_every_section_of_the_document_is_that_of_the_committed_study():
    sections = synergy.sections()
    assert len(sections) == 9
    for name, text in sections.items():
        assert read_section(synergy.DOCUMENT, name) == text


def test_the_committed_report_has_its_tables(study):
    report = (synergy.FOLDER / "report" / "tables.md").read_text()
    for table in study_tables(study):
        assert table.markdown() in report


def test_a_section_is_replaced_and_the_rest_stays(tmp_path):
    file = tmp_path / "document.md"
    file.write_text("before\n<!-- one: written by `x` -->\nold\n<!-- end of one -->\nafter\n")
    write_section(file, "one", r"new \1")
    assert file.read_text() == "before\n<!-- one: written by `x` -->\nnew \\1\n<!-- end of one -->\nafter\n"
    assert read_section(file, "one") == r"new \1"
    with pytest.raises(ValueError, match="must have one section 'two'; it has 0"):
        write_section(file, "two", "new")
