"""Cells are measured once, whatever stops them; a result says where it comes from; time that is left is estimated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import eqmodels
from eqmodels.experiments import Experiment, Origin, command_line, origin
from eqmodels.storage import StorageError, claimed_folder
from eqmodels.torchrun import by_itself, own_place


@dataclass(frozen=True)
class Squares:
    name: str
    seed: int = 0


CELLS = tuple(Squares(f"n/{number}", number) for number in range(4))


def read(cell, content):
    if content["seed"] != cell.seed:
        raise StorageError("of another plan.")
    return content["square"]


def plan(folder, **options):
    return Experiment(folder, CELLS, read, **options)


def measure(cell, report):
    report("squaring")
    return {"seed": cell.seed, "square": cell.seed**2}


def test_a_result_is_one_line_that_says_where_it_comes_from(tmp_path):
    found = plan(tmp_path)
    found.run(measure, command="squares --all")
    assert found.results() == {cell: cell.seed**2 for cell in CELLS}
    lines = [json.loads(line) for line in found.lines()]
    for cell, line in zip(CELLS, lines, strict=True):
        assert found.place(cell).read_text().count("\n") == 1
        assert json.loads(found.place(cell).read_text()) == line
        assert line["name"] == cell.name
        own = found.origin(cell)
        assert own.to_dict() == line["origin"]
        assert (own.seed, own.command) == (cell.seed, "squares --all")
        assert own.versions["python"] == sys.version.split()[0]
        assert {"eqmodels", "torch", "numpy"} <= set(own.versions)
        assert "thread" in own.machine
        assert own.date.endswith("+00:00")
        assert own.seconds >= 0


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_what_stops_it_loses_the_cell_at_work_alone(tmp_path, stop):
    asked = []

    def stopped(cell, report):
        asked.append(cell.seed)
        if cell.seed == 2 and len(asked) == 3:
            raise stop
        return measure(cell, report)

    found = plan(tmp_path)
    with pytest.raises(stop):
        found.run(stopped)
    assert [cell.seed for cell in found.waiting()] == [2, 3]
    found.run(stopped)
    assert asked == [0, 1, 2, 2, 3]
    found.run(stopped)
    assert len(asked) == 5


def test_a_process_that_is_killed_loses_the_cell_at_work_alone(tmp_path):
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from tests.experiments.test_experiment import measure, plan\n"
        "def killed(cell, report):\n    if cell.seed == 2:\n        os._exit(9)\n    return measure(cell, report)\n"
        "plan(Path(sys.argv[1])).run(killed)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 9
    found = plan(tmp_path)
    assert [cell.seed for cell in found.waiting()] == [2, 3]
    found.run(measure)
    assert list(found.results().values()) == [0, 1, 4, 9]


def test_results_of_before_origins_were_noted_are_read(tmp_path):
    found = plan(tmp_path)
    found.place(CELLS[3]).parent.mkdir(parents=True)
    found.place(CELLS[3]).write_text(json.dumps({"seed": 3, "square": 9}, indent=1))
    assert (found.result(CELLS[3]), found.origin(CELLS[3])) == (9, None)
    assert found.waiting() == list(CELLS[:3])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "cannot be read .* Delete it, and it is measured again"),
        ("[]", "it is no object"),
        ('{"seed": 0}', "square"),
        ('{"seed": 1, "square": 0}', "of another plan"),
    ],
)
def test_a_file_that_is_no_result_of_the_plan_is_one_sentence(tmp_path, content, sentence):
    found = plan(tmp_path)
    found.place(CELLS[0]).parent.mkdir(parents=True)
    found.place(CELLS[0]).write_text(content)
    with pytest.raises(StorageError, match=sentence) as error:
        found.run(measure)
    assert "\n" not in str(error.value)


def test_two_do_not_measure_in_one_folder(tmp_path):
    with claimed_folder(tmp_path), pytest.raises(StorageError, match=r"another process measures in .*\(--out\)"):
        plan(tmp_path, option="--out").run(measure)


def test_the_time_that_is_left_is_scaled_by_what_was_measured(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("eqmodels.experiments.experiment.time.monotonic", lambda: clock[0])
    told = []

    def slow(cell, report):
        clock[0] += 20.0  # twice what was expected
        return measure(cell, report)

    plan(tmp_path, expected=lambda _: 10.0).run(slow, tell=told.append)
    starts = [one for one in told if one.cell and not one.what]
    assert [one.left for one in starts] == [40.0, 60.0, 40.0, 20.0]
    assert [one.done for one in starts] == [0, 1, 2, 3]
    assert str(starts[1]) == "1 of 4 done, about 60 s left: n/1"
    assert str(told[-1]) == "4 of 4 done"


def test_without_an_expectation_nothing_is_foreseen_before_a_cell_is_done(tmp_path):
    told = []
    plan(tmp_path).run(measure, tell=told.append)
    assert told[0].left is None
    assert str(told[0]) == "0 of 4 done: n/0"
    assert all(one.left is not None for one in told[2:])


def test_a_cell_is_measured_as_by_a_process_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with by_itself():
        assert own_place() == (0, 1, 0)
    assert own_place()[:2] == (1, 2)
    places = []
    plan(tmp_path).run(lambda cell, report: places.append(own_place().size) or measure(cell, report))
    assert places == [1] * len(CELLS)
    assert os.environ["WORLD_SIZE"] == "2"


def test_processes_share_the_cells_and_what_is_timed_is_measured_alone(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\nfrom pathlib import Path\nfrom eqmodels.processes.world import joined_world\n"
        "from tests.experiments.test_experiment import measure, plan\n"
        "with joined_world('cpu') as world, world.together():\n"
        "    def by(cell, report):\n"
        "        return measure(cell, report) | {'rank': world.rank}\n"
        "    plan(Path(sys.argv[1]), alone=lambda cell: cell.seed == 0).run(by, world=world)\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(script), str(tmp_path / "out")], check=False, cwd=root, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    found = plan(tmp_path / "out")
    assert not found.waiting()
    assert [json.loads(line)["rank"] for line in found.lines()] == [0, 0, 1, 0]


def test_the_command_can_be_typed_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/eqmodels", "bench", "--models", "c4 *"])
    assert command_line() == "eqmodels bench --models 'c4 *'"
    assert command_line("benchmarks.x") == "python -m benchmarks.x bench --models 'c4 *'"


def test_the_commit_is_that_of_the_checkout_and_says_whether_files_differ(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    assert origin._commit.__wrapped__(tmp_path) is None
    (tmp_path / "file").write_text("a")
    for words in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert origin._commit.__wrapped__(tmp_path) == commit
    (tmp_path / "file").write_text("b")
    assert origin._commit.__wrapped__(tmp_path) == f"{commit}+"


def test_an_origin_survives_json():
    here = Origin.here(3, 1.234, command="x")
    assert Origin.from_dict(json.loads(json.dumps(here.to_dict()))) == here
    assert here.versions["eqmodels"] == eqmodels.__version__
