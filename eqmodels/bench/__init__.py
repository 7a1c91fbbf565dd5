"""A benchmark that anyone can rerun: quality, symmetry and cost of any encoders, cell by cell."""

from eqmodels.bench.cells import KINDS, BenchCell
from eqmodels.bench.contenders import Contender, chosen_models
from eqmodels.bench.lines import read_lines
from eqmodels.bench.plan import BenchPlan, planned
from eqmodels.bench.results import BenchResults, read_bench, write_bench
from eqmodels.bench.running import run_bench
from eqmodels.bench.suites import SUITES, Suite

__all__ = [
    "KINDS",
    "SUITES",
    "BenchCell",
    "BenchPlan",
    "BenchResults",
    "Contender",
    "Suite",
    "chosen_models",
    "planned",
    "read_bench",
    "read_lines",
    "run_bench",
    "write_bench",
]
