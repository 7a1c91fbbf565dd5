"""What was measured of a plan, as tables and as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eqmodels.arguments import check_arguments
from eqmodels.bench.cells import BenchCell
from eqmodels.bench.counting import Counted
from eqmodels.bench.engines import EAGER, TRAINING
from eqmodels.bench.forms import Forms, precision_of
from eqmodels.bench.longer_tables import longer_csv, longer_tables
from eqmodels.bench.plan import BenchPlan
from eqmodels.bench.quality import Quality
from eqmodels.bench.running import Found, experiment
from eqmodels.bench.stored import LINES, counting, stored
from eqmodels.bench.symmetry import PRECISIONS, Symmetry
from eqmodels.bench.throughput import Speed
from eqmodels.experiments import Origin
from eqmodels.measures.intervals import estimate
from eqmodels.reports import Table
from eqmodels.storage import write_atomically

__all__ = ["BenchResults", "read_bench", "write_bench"]

FILES = (
    LINES,
    "quality.csv",
    "symmetry.csv",
    "layers.csv",
    "cost.csv",
    "forms.csv",
    "angles.csv",
    "supervised.csv",
    "rotated.csv",
    "growth.csv",
    "throughput.csv",
    "scaling.csv",
    "capacity.csv",
    "tables.md",
)
"""What is written beside the cells: every result in a line, and the same in tables."""
MOVES = {"turned": "turned", "mirrored": "mirrored", "changed_turned": "changed", "changed_mirrored": "by mirroring"}


@dataclass(frozen=True, eq=False)
class BenchResults:
    """What was measured so far.

    Attributes:
        plan: what was to be measured.
        found: what was, by cell; those that are not done are missing.
        lines: the same in JSON, a line a cell, each with its settings and its origin.
    """

    plan: BenchPlan
    found: dict[BenchCell, Found]
    lines: tuple[str, ...]

    def tables(self) -> tuple[Table, ...]:
        """Quality, symmetry, cost and what takes longer, a row a network; those without any cell are left out."""
        every = (self._quality(), self._symmetry(), self._cost(), *longer_tables(self.found))
        return tuple(table for table in every if table.rows)

    def qualities(self) -> dict[tuple[str, str], list[Quality]]:
        """By network and images, over the seeds."""
        found: dict[tuple[str, str], list[Quality]] = {}
        for cell, result in self.found.items():
            if isinstance(result, Quality):
                settings = cell.values
                found.setdefault((settings["model"], settings["data"]), []).append(result)
        return found

    def symmetries(self) -> dict[str, Symmetry]:
        """By network, of its first seed."""
        found = {cell.values["model"]: one for cell, one in reversed(self.found.items()) if isinstance(one, Symmetry)}
        return dict(reversed(found.items()))

    def costs(self) -> dict[str, tuple[Counted, float]]:
        """By network: what was counted, and the seconds to build it."""
        return {cell.values["model"]: one for cell, one in self.found.items() if isinstance(one, tuple)}

    def speeds(self, how: str = EAGER) -> dict[tuple[str, int], Speed]:
        """By network and batch, of networks that are run in one way; unless it is said which, as they are.

        Of a network that was timed more than once, as the plain one is with others beside it, the first time counts.
        """
        found: dict[tuple[str, int], Speed] = {}
        for result in self.found.values():
            for name, speed in result.items() if isinstance(result, dict) else ():
                if speed.how == how:
                    found.setdefault((name, speed.batch), speed)
        return found

    def origins(self, model: str | None = None) -> tuple[Origin, ...]:
        """Where results come from, in their order, each command, version, commit and machine once.

        Args:
            model: a network whose own cells are meant; None for all cells.
        """
        found: dict[tuple[object, ...], Origin] = {}
        for line in self.lines:
            content = json.loads(line)
            if model in (None, content["settings"].get("model")):
                one = Origin.from_dict(content["origin"])
                found.setdefault((one.command, *one.versions.items(), one.commit, one.machine), one)
        return tuple(found.values())

    def _quality(self) -> Table:
        labels = self.plan.suite.labels
        rows = []
        for (model, data), found in self.qualities().items():

            def cell(read: Callable[[Quality], float], found: list[Quality] = found) -> str:
                return estimate(read(one) for one in found).as_percent()

            own = [cell(lambda one, name=name: getattr(one, name)) for name in ("upright", *MOVES)]  # type: ignore[misc]
            few = [cell(lambda one, count=count: one.labels[str(count)]) for count in labels]  # type: ignore[misc]
            rows.append([model, data, str(found[0].width), *own, cell(lambda one: one.knn), *few])
        few_header = [f"{count} label{'s' * (count > 1)}" for count in labels]
        header = ["network", "images", "width", "upright", *MOVES.values(), "kNN", *few_header]
        return Table(header, rows, "Quality: accuracy of frozen features, %", left=2)

    def _symmetry(self) -> Table:
        rows = []
        for model, found in self.symmetries().items():
            own = [_error(found.worst(precision, own=True)) for precision in PRECISIONS]
            rows.append([model, found.group, *own, _error(found.worst("float64", own=False))])
        header = ["network", "group", *(f"own moves, {name}" for name in PRECISIONS), "other moves"]
        return Table(header, rows, "Symmetry: largest error over the moves of the pixel grid", left=2)

    def _cost(self) -> Table:
        speeds, batches = self.speeds(), self.plan.suite.batches
        rows = []
        for model, (counted, seconds) in self.costs().items():
            height, width = counted.size
            row = [model, f"{height} x {width}", f"{counted.parameters:,}", f"{counted.gmacs:.4f}"]
            row += [
                f"{counted.macts:.3f}",
                f"{counted.megabytes:.1f}",
                f"{counted.peak_megabytes:.1f}",
                f"{seconds:.2f}",
            ]
            for batch in batches:
                speed = speeds.get((model, batch))
                row += ["-", "-"] if speed is None else [f"{speed.images_per_second:,.0f}", _ratio(speed)]
            rows.append(row)
        header = ["network", "size", "parameters", "GMACs", "Mactivations", "MB", "peak MB, 64 images", "build, s"]
        header += [word for batch in batches for word in (f"images/s, batch {batch}", "time, ratio")]
        return Table(header, rows, "Cost: of one image, and of a forward pass in float32", left=2)

    def csv_tables(self) -> dict[str, Table]:
        """Every figure, by the name of its file; of cost timm's columns first, a row a network and batch."""
        own = {
            "quality.csv": self._all_quality(),
            "symmetry.csv": self._all_symmetry(),
            "layers.csv": self._all_layers(),
            "cost.csv": self._all_cost(),
        }
        return own | longer_csv(self.found)

    def _all_quality(self) -> Table:
        labels = [str(count) for count in self.plan.suite.labels]
        names = ["upright", *MOVES, "knn", "knn_turned"]
        rows = []
        for cell, one in self.found.items():
            if isinstance(one, Quality):
                settings = cell.values
                figures = [*(getattr(one, name) for name in names), *(one.labels[count] for count in labels)]
                about = [settings["model"], settings["data"], settings["seed"], one.train, one.test, one.width]
                rows.append([*map(str, about), *map(_figure, figures)])
        header = ["model", "data", "seed", "train_images", "test_images", "width", *names]
        return Table([*header, *(f"labels_{count}" for count in labels)], rows)

    def _all_symmetry(self) -> Table:
        rows = [
            [model, found.group, element, precision, "" if error is None else f"{error:.3e}", str(element in found.own)]
            for model, found in self.symmetries().items()
            for precision, errors in found.errors.items()
            for element, error in errors.items()
        ]
        return Table(["model", "group", "element", "precision", "error", "own"], rows)

    def _all_layers(self) -> Table:
        every = [(name, "as it is", one.layers) for name, one in self.symmetries().items()]
        forms = [(cell.values["model"], one.layers) for cell, one in self.found.items() if isinstance(one, Forms)]
        for name, found in forms:
            every += [(name, form, {precision_of(form): layers}) for form, layers in found.items()]
        rows = [
            [model, form, precision, layer, "" if error is None else f"{error:.1e}", move]
            for model, form, found in every
            for precision, layers in found.items()
            for layer, (error, move) in layers.items()
        ]
        return Table(["model", "form", "precision", "layer", "error", "element"], rows)

    def _all_cost(self) -> Table:
        costs, trained, speeds, rows = self.costs(), self.speeds(TRAINING), self.speeds(), []
        timed = {model for model, _ in speeds}
        # What is counted stands there too where nothing was timed.
        untimed = [((model, 0), None) for model in costs if model not in timed]
        for (model, batch), speed in [*speeds.items(), *untimed]:
            if model not in costs:
                continue
            counted, seconds = costs[model]
            timm = [*_stepped(speed), _figure(counted.gmacs), _figure(counted.macts)]
            timm += _stepped(trained.get((model, batch)))
            timm += [_figure(counted.parameters / 1e6)]
            ratios = [""] * 3 if speed is None else map(_figure, [speed.timing.ratio, *speed.timing.ratio_quartiles])
            own = map(_figure, [counted.gmacs_a_call, counted.megabytes, counted.peak_megabytes, seconds])
            rows.append([model, *timm, *ratios, *own, "" if speed is None else speed.reference])
        header = ["model", "infer_samples_per_sec", "infer_step_time", "infer_batch_size", "infer_img_size"]
        header += ["infer_gmacs", "infer_macts", "train_samples_per_sec", "train_step_time", "train_batch_size"]
        header += ["train_img_size", "param_count", "ratio", "ratio_low", "ratio_high", "gmacs_a_call"]
        return Table([*header, "megabytes", "peak_megabytes", "build_seconds", "reference"], rows)


def read_bench(plan: BenchPlan, folder: str | Path) -> BenchResults:
    """What was measured of a plan so far, and elsewhere of networks that it had to leave out.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if a file cannot be read.
    """
    check_arguments(read_bench, locals())
    known = experiment(plan, Path(folder))
    found, lines = known.results(), [*known.lines()]
    cells = list(plan.cells)
    if plan.left_out:
        kinds = {cell.kind for cell in cells}
        for line, content, cell, result in counting(stored(known.folder)):
            settings = content["settings"]
            if cell.kind in kinds and plan.left_out.keys() & {settings.get("model"), *settings.get("models", ())}:
                cells.append(cell)
                lines.append(line)
                found[cell] = result
    return BenchResults(replace(plan, cells=tuple(cells)), found, tuple(lines))


def write_bench(results: BenchResults, folder: str | Path) -> tuple[Path, ...]:
    """Writes every result as a line of JSON, and tables as CSV and as Markdown; the files.

    Raises:
        TypeError: if an argument is of another type.
        StorageError: if a file cannot be written.
    """
    check_arguments(write_bench, locals())
    folder = Path(folder)
    contents = {"results.jsonl": "".join(f"{line}\n" for line in results.lines)}
    contents |= {name: table.csv() for name, table in results.csv_tables().items()}
    contents["tables.md"] = "\n".join(_document(results))
    for name in FILES:
        write_atomically(folder / name, contents[name])
    return tuple(folder / name for name in FILES)


def _document(results: BenchResults) -> Iterator[str]:
    for table in results.tables():
        yield f"## {table.title}\n\n{table.markdown()}\n"


def _stepped(speed: Speed | None) -> list[str]:
    """What timm's ``benchmark.py`` says of inference or training, in its units; empty where it was not timed."""
    if speed is None:
        return [""] * 4
    rate, step = _figure(speed.images_per_second), _figure(1e3 * speed.timing.median)
    return [rate, step, str(speed.batch), str(max(speed.size))]


def _error(error: float | None) -> str:
    return "-" if error is None else f"{error:.1e}"


def _ratio(speed: Speed) -> str:
    low, high = speed.timing.ratio_quartiles
    return f"{speed.timing.ratio:.2f} ({low:.2f} .. {high:.2f})"


def _figure(value: Any) -> str:  # noqa: ANN401
    return f"{value:.6g}"
