"""A folder as a benchmark leaves it, without the minutes that one takes."""

from __future__ import annotations

import json
from dataclasses import asdict
from html.parser import HTMLParser

import pytest

from eqmodels.bench.counting import Counted
from eqmodels.bench.quality import Quality
from eqmodels.bench.symmetry import Symmetry
from eqmodels.bench.throughput import Speed
from eqmodels.experiments import Origin, Timing

OURS, PLAIN, FRESH = "c4_resnet18s_w16.rot_fmnist_simclr", "resnet18s_w16.rot_fmnist_simclr", "c4_resnet18s_w4"
DATA = "fashion_mnist_mini"
SAYS_NOTHING = ("area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr")


class Reader(HTMLParser):
    """The tags of a page, whether each is closed, and what they refer to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.references, self.ids = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.found.append((tag, known))
        self.ids += [known["id"]] if "id" in known else []
        self.references += [known[name] for name in ("src", "href") if name in known]
        if tag not in SAYS_NOTHING:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def quality(upright=0.8, turned=0.7, train=1000):
    return Quality(128, train, 500, upright, (0.75, 0.85), turned, 0.6, 0.1, 0.2, 0.7, 0.65, {"1": 0.3, "20": 0.6})


def symmetry(group, error):
    moves = ("90°", "flip, then 0°")
    errors = {precision: dict.fromkeys(moves, error) for precision in ("float64", "float32", "bfloat16")}
    return Symmetry(group, "d4", (28, 28), errors, moves[:1] if group == "c4" else (), error, "layer1")


def cost(parameters):
    return {**asdict(Counted((28, 28), parameters, 0.03, 0.0, 0.1, 1.0, 10.0)), "build_seconds": 0.1}


def speed(rate, batch):
    return asdict(Speed(batch, (28, 28), rate, Timing(batch / rate, 0.1, 0.2, 1.0, (0.9, 1.1)), PLAIN, 5))


def line(kind, settings, values, date="2026-01-01T00:00:00+00:00"):
    known = {"format": 1, "kind": kind, **settings}
    seed = settings.get("seed", 0)
    origin = Origin(seed, "eqmodels bench", {"torch": "2.0"}, "a" * 40, "a machine", date, 1.0)
    name = f"{kind}/{settings.get('model', 'several')}.{abs(hash(json.dumps(known))):x}"
    return json.dumps({"name": name, "settings": known, "values": values, "origin": origin.to_dict()})


def asked(model, seed=0, data=DATA, train=1000):
    return {"model": model, "data": data, "seed": seed, "train": train, "test": 500, "labels": [1, 20]}


def benchmark_lines(names=(OURS, PLAIN, FRESH)):
    ours, plain, fresh = names
    lines = [
        line("quality", asked(ours), asdict(quality(0.80, 0.80))),
        line("quality", asked(plain), asdict(quality(0.84, 0.14))),
        line("quality", asked(fresh, 0), asdict(quality(0.50, 0.50))),
        line("quality", asked(fresh, 1), asdict(quality(0.60, 0.60))),
    ]
    for name, group, error, parameters in ((ours, "c4", 1e-16, 100), (plain, "c1", 0.4, 400), (fresh, "c4", 1e-16, 20)):
        lines.append(line("symmetry", {"model": name, "seed": 0}, asdict(symmetry(group, error))))
        lines.append(line("cost", {"model": name}, cost(parameters)))
    for batch, factor in ((1, 1), (64, 10)):
        rates = {ours: 90.0 * factor, plain: 100.0 * factor, fresh: 50.0 * factor}
        values = {name: speed(rate, batch) for name, rate in rates.items()}
        lines.append(line("throughput", {"models": list(names), "batch": batch}, values))
    return lines


@pytest.fixture
def folder(tmp_path):
    """Two networks of the zoo and one as it is initialised, over two seeds."""
    (tmp_path / "results.jsonl").write_text("\n".join(benchmark_lines()) + "\n")
    return tmp_path
