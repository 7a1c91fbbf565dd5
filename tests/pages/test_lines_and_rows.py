"""What a benchmark left is read as it was measured, and becomes the rows of a page."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as some

from eqmodels.bench import read_lines
from eqmodels.pages.rows import anchor, bench_rows, on_front
from eqmodels.storage import StorageError
from tests.pages.conftest import DATA, FRESH, OURS, PLAIN, asked, benchmark_lines, line, quality


def test_every_network_is_a_row_with_all_that_was_measured(folder):
    rows = bench_rows(read_lines(folder))
    assert [(row.model, row.data, row.group, row.is_random) for row in rows] == [
        (OURS, DATA, "c4", False),
        (PLAIN, DATA, "c1", False),
        (FRESH, DATA, "c4", True),
    ]
    fresh = rows[2].measured(lambda one: one.turned)
    assert fresh.mean == pytest.approx(0.55)
    assert fresh.count == 2
    assert rows[0].speed.images_per_second == 900
    assert rows[1].counted.parameters == 400
    assert rows[0].labels == (1, 20)
    assert rows[0].error("float32", own=True) == 1e-16
    assert rows[1].error("float32", own=True) is None


def test_the_tables_are_those_of_the_benchmark(folder):
    titles = [table.title.partition(":")[0] for table in read_lines(folder).tables()]
    assert titles == ["Quality", "Symmetry", "Cost"]


def test_cells_without_a_line_count_too_and_none_counts_twice(folder):
    first, *rest = (folder / "results.jsonl").read_text().splitlines()
    cell = folder / "quality" / "one" / "result.json"
    cell.parent.mkdir(parents=True)
    cell.write_text(first + "\n")
    whole = read_lines(folder).found
    (folder / "results.jsonl").write_text("\n".join(rest))
    assert read_lines(folder).found == whole
    (folder / "results.jsonl").unlink()
    assert [row.model for row in bench_rows(read_lines(folder))] == [OURS]


def test_of_two_ways_of_measuring_the_one_with_more_images_counts(folder):
    more = [line("quality", asked(OURS, seed, train=6000), asdict(quality(0.9, 0.9, 6000))) for seed in (0, 1)]
    with (folder / "results.jsonl").open("a") as stream:
        stream.write("\n".join(more))
    (row,) = (row for row in bench_rows(read_lines(folder)) if row.model == OURS)
    assert [one.train for one in row.qualities] == [6000, 6000]


def test_of_equal_ways_the_last_one_counts(folder):
    again = {**asked(OURS), "weights": "others"}
    with (folder / "results.jsonl").open("a") as stream:
        stream.write(line("quality", again, asdict(quality(0.1, 0.1)), "2026-02-02T00:00:00+00:00"))
    (row,) = (row for row in bench_rows(read_lines(folder)) if row.model == OURS)
    assert [one.upright for one in row.qualities] == [0.1]


def test_origins_are_told_once_each(folder):
    results = read_lines(folder)
    assert len(results.lines) == len(benchmark_lines())
    assert [one.command for one in results.origins()] == ["eqmodels bench"]
    assert results.origins("another") == ()


def test_a_folder_of_nothing_is_refused_with_a_way_out(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has neither results\.jsonl nor cells\. Write one: eqmodels bench"):
        read_lines(tmp_path)


@pytest.mark.parametrize("change", [{"kind": "beauty"}, {}, None], ids=["kind", "values", "words"])
def test_a_line_that_is_no_result_is_refused(folder, change):
    content = json.loads(benchmark_lines()[0])
    content["settings"] |= change or {}
    if change == {}:
        del content["values"]["upright"]
    (folder / "results.jsonl").write_text("no JSON" if change is None else json.dumps(content))
    with pytest.raises(StorageError, match="holds a line that is no result of this version"):
        read_lines(folder)


numbers = some.floats(-10, 10)


@given(some.lists(some.tuples(numbers, numbers), min_size=1, max_size=12))
def test_the_front_is_what_nothing_surpasses(points):
    front = on_front(points)
    for point, is_front in zip(points, front, strict=True):
        better = [one for one in points if one != point and one[0] >= point[0] and one[1] >= point[1]]
        assert is_front is not bool(better)
    assert any(front)


def test_every_network_has_a_place_of_its_own():
    names = ["a b", "a.b", "a/b", "<a>"]
    places = [anchor(name, names) for name in names]
    assert len(set(places)) == 4
    assert all(place.replace("-", "").isalnum() for place in places)
