"""Whatever a config holds, it is refused at once: its size, and the length of every list, come before its rules."""

from __future__ import annotations

import json
import time
from importlib.resources import files

import pytest

from eqmodels.storage import StorageError, read_config, write_network
from eqmodels.storage.limits import LARGEST, LISTS, LONGEST_LOG

SECONDS = 3
"""Of the processor, ten times what it takes and a sixth of what it took without limits: a machine may be busy."""

CONFIG = {
    "format": 3,
    "architecture": "c4_resnet18s_w4",
    "group": "c4",
    "map_field": "8 x regular(c4)",
    "out_field": "8 x scalar",
    "num_classes": 0,
    "num_features": 8,
    "model_args": {},
    "pretrained_cfg": {},
    "preprocessing": {"mean": [0.5], "deviation": [0.5], "size": [8, 8]},
    "golden": {"size": [8, 8], "features": [0.5] * 8},
    "sha256": "0" * 64,
    "pretraining": {},
    "log": [{"epoch": 1, "loss": 0.5}],
    "provenance": {},
}


def golden(**lists) -> dict:
    return {"golden": CONFIG["golden"] | lists}


HUGE = {
    "a log of numbers": (lambda: {"log": [0] * 2_000_000}, "more than 600000 entries"),
    "a log of fewer numbers": (lambda: {"log": [0] * 500_000}, r"at \['log'\]: .* at most 10000 entries here"),
    "a log that is just short enough": (
        lambda: {"log": [0] * LONGEST_LOG},
        r"at \['log'\]\[0\]: 0 is not of type 'object'",
    ),
    "rows of no numbers": (
        lambda: {"log": [{"a": "b"}] * LONGEST_LOG},
        r"at \['log'\]\[0\]\['a'\]: 'b' is not of type",
    ),
    "the last row": (
        lambda: {"log": [{"a": 1}] * 9999 + [{"a": None}]},
        r"at \['log'\]\[9999\]\['a'\]: None is not of type",
    ),
    "features that are words": (
        lambda: golden(features=["a"] * 150_000),
        r"at \['golden'\]\['features'\]\[0\]: 'a' is not",
    ),
    "too many features": (
        lambda: golden(features=[0.5] * 150_001),
        r"at \['golden'\]\['features'\]: .* at most 150000",
    ),
    "too many pooled features": (
        lambda: golden(pooled=[0.5] * 300_001),
        r"at \['golden'\]\['pooled'\]: .* at most 300000",
    ),
    "outputs of a head that are words": (
        lambda: golden(heads={"features": ["a"] * 150_000}),
        r"at \['golden'\]\['heads'\]\['features'\]\[0\]: 'a' is not",
    ),
    "too many outputs of a head": (
        lambda: golden(heads={"features": [0.5] * 150_001}),
        r"at \['golden'\]\['heads'\]\['features'\]: .* at most 150000",
    ),
    "heads that are a list": (
        lambda: golden(heads=[0.5] * 2000),
        r"at \['golden'\]\['heads'\]: .* is not of type 'object'",
    ),
    "features that are true": (lambda: golden(features=[True] * 8), r"at \['golden'\]\['features'\]\[0\]: True is not"),
    "a mean": (
        lambda: {"preprocessing": {"mean": ["a"] * 500_000}},
        r"at \['preprocessing'\]\['mean'\]: .* at most 1024",
    ),
    "unknown keys": (
        lambda: {str(number): number for number in range(150_000)},
        "at its top level: .* at most 1024 entries",
    ),
    "too many keys": (lambda: {str(number): number for number in range(500_000)}, "more than 200000 names"),
    "empty objects": (lambda: {"provenance": [{}] * 2_000_000}, "more than (50000 objects|600000 entries)"),
    "provenance": (lambda: {"provenance": {"data": [0] * 100_000}}, r"at \['provenance'\]\['data'\]: .* at most 50000"),
    "a word": (lambda: {"architecture": "a" * 10_000_000}, "words must have at most 20000 letters"),
    "a key": (lambda: {"pretraining": {"a" * 10_000_000: 1}}, "words must have at most 20000 letters"),
    "bytes": (lambda: {"provenance": {"machine": "a" * LARGEST}}, f"more than {LARGEST}"),
    "depth": (lambda: {"provenance": {"a": json.loads("[" * 90 + "]" * 90)}}, "it is nested too deeply"),
}
"""What a config has in its place, made when it is asked for; and what is said of it."""


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_config_is_refused_at_once(tmp_path, name):
    make, sentence = HUGE[name]
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG | make()))
    started = time.process_time()
    with pytest.raises(StorageError, match=sentence) as caught:
        read_config(file)
    assert time.process_time() - started < SECONDS
    assert len(str(caught.value)) < 600


def test_the_largest_config_that_fits_is_read_soon(tmp_path):
    number = 0.123456789
    lists = golden(features=[number] * 150_000, pooled=[number] * 300_000, heads={"features": [number] * 100_000})
    content = CONFIG | lists | {"log": [{"epoch": n, "loss": 0.5, "seconds": 1.5} for n in range(LONGEST_LOG)]}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(content))
    started = time.process_time()
    assert read_config(file) == content
    assert time.process_time() - started < SECONDS


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    content = {key: value for key, value in CONFIG.items() if key not in ("format", "sha256")}
    machine = {"provenance": {"machines": ["a" * 1000] * 20_000}}
    with pytest.raises(StorageError, match=f"would break a rule by more than {LARGEST} bytes"):
        write_network(tmp_path, b"", content | machine)
    assert list(tmp_path.iterdir()) == []


def test_the_schema_says_how_long_lists_may_be():
    schema = json.loads((files("eqmodels.storage") / "config.schema.json").read_text("utf-8"))
    for place, most in LISTS.items():
        part = schema
        for name in place:
            part = part["properties"][name]
        # Of an object, each of its entries.
        assert part.get("additionalProperties", part)["maxItems"] == most
