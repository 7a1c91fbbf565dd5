"""The timing harness: who is run how often, in which order, and what the ratios mean. No test times anything."""

import json
import sys

import pytest
import torch

from benchmarks._sections import read_section
from benchmarks.speed import _harness, readme


def test_every_contender_runs_once_a_round_in_a_rotating_order():
    ticks, calls = iter(range(1000)), []
    contenders = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    rows = _harness.compare("setting", contenders, reference="a", rounds=4, warmup=1, clock=lambda: float(next(ticks)))
    assert calls.count("a") == calls.count("b") == 5
    assert {"".join(calls[i : i + 2]) for i in range(0, 10, 2)} == {"ab", "ba"}
    assert [row.median for row in rows] == [1.0, 1.0]


def test_the_ratio_is_the_median_of_quotients_within_a_round():
    # The machine was slow in the second round, for both alike: the quotients do not see it.
    slow, fast = _harness.summarise("s", {"a": [1.0, 10.0, 1.0], "b": [2.0, 20.0, 3.0]}, reference="a")
    assert (slow.ratio, fast.ratio) == (1.0, 2.0)
    assert (fast.median, fast.minimum, fast.maximum) == (3.0, 2.0, 20.0)
    assert (slow.ratio_quartiles, fast.ratio_quartiles) == ((1.0, 1.0), (2.0, 3.0))


def test_rounds_of_unequal_number_are_refused():
    with pytest.raises(ValueError, match="one number a round"):
        _harness.summarise("s", {"a": [1.0], "b": [1.0, 2.0]}, reference="a")


def test_a_table_is_saved_with_its_command_and_its_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_harness, "RESULTS", tmp_path / "speed")
    monkeypatch.setattr(sys, "argv", ["script.py", "--rounds", "3"])
    rows = _harness.summarise("batch 1", {"a": [1.0]}, reference="a")
    table = _harness.Timings.of("T", unit="s", reference="a", module="benchmarks.speed.x", rounds=3, rows=rows)
    table.save("name")
    saved = json.loads((tmp_path / "speed" / "name.json").read_text())
    assert saved["command"] == "python -m benchmarks.speed.x --rounds 3"
    assert saved["rows"][0]["contender"] == "a"
    assert f"{torch.get_num_threads()} thread" in saved["machine"]
    assert "| batch 1 | a | 1 (1 .. 1) | 1.00 (1.00 .. 1.00) |" in capsys.readouterr().out


def test_readme_has_the_measured_table_of_consumers():
    assert read_section(readme.README, readme.CONSUMERS) == readme.plugs()
