"""Ten thousand damaged files: each is refused in one sentence, or is the network that it was, bit for bit.

A tenth of them is damaged each time, all of them among the long checks.
The mutants are the same in every run, and the number in a failure's sentence is that of the mutant. What nothing can
detect is not among them: weights that were changed together with their sha256 and are the heads', which the stored
features do not show, or change these by less than their tolerance. Such files are not damaged but published anew.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from safetensors.torch import load as parse
from safetensors.torch import save

from eqmodels import Backbone, EqmodelsError, load
from eqmodels.backbones.describe import describe_network
from eqmodels.hub import load_pretrained
from eqmodels.training import load_run
from tests.hub.mutants import damage, damaged_header, mutants, other_values, rewritten, written
from tests.hub.networks import features, network, write

CONFIG, WEIGHTS = "config.json", "model.safetensors"


@pytest.fixture
def shapes_once(monkeypatch, no_shape_checks):
    """The shapes of a network are worked out once a description: else most of the time would go into them."""
    for module, name in (("eqmodels.training.run", "build_learner"), ("eqmodels.backbones.loading", "build_described")):
        build = getattr(import_module(module), name)
        monkeypatch.setattr(f"{module}.{name}", partial(_build, build, {}))


def _build(build: Callable, known: dict[str, Any], *description: Any) -> Any:
    if torch.get_default_device().type != "meta":
        return build(*description)
    key = repr(description)
    if key not in known:
        known[key] = build(*description)
    return known[key]


class Judge:
    """Loads a folder after each damage, and knows what is right."""

    def __init__(self, folder: Path, loads: list[Callable[[Path], Any]]) -> None:
        self.folder, self.loads = folder, loads
        self.files = {file.name: file.read_bytes() for file in folder.iterdir()}
        self.expected = [self.facts(read(folder)) for read in loads]
        self.damaged: set[str] = set()
        self.loaded = self.refused = 0

    @staticmethod
    def facts(loaded: Any) -> tuple[dict[str, torch.Tensor], torch.Tensor, Any, dict[str, Any]]:
        """Weights, features of fixed images, what images go through, and what the network says of itself to timm."""
        model, encoder = (loaded, loaded) if isinstance(loaded, Backbone) else (loaded.model, loaded.model.backbone)
        description = describe_network(loaded) if isinstance(loaded, Backbone) else loaded.description()
        return model.state_dict(), features(encoder), loaded.preprocessing, description

    def __call__(self, number: int, damaged: dict[str, bytes]) -> None:
        """Asserts the law of one mutant."""
        write(self.folder, damaged | {name: self.files[name] for name in self.damaged - damaged.keys()})
        self.damaged = set(damaged)
        choice = number % len(self.loads)
        try:
            found = self.loads[choice](self.folder)
        except EqmodelsError as error:
            words = str(error)
            assert words.isprintable(), f"mutant {number}: {words!r}"
            assert 40 < len(words) < 1500, f"mutant {number}: {words!r}"
            self.refused += 1
        except Exception as error:
            raise AssertionError(f"mutant {number} is no sentence but {type(error).__name__}: {error}"[:500]) from error
        else:
            state, vectors, preprocessing, description = self.facts(found)
            right = self.expected[choice]
            assert state.keys() == right[0].keys(), f"mutant {number} has other tensors"
            changed = [name for name, value in state.items() if not torch.equal(value, right[0][name])]
            assert not changed, f"mutant {number} was loaded with other {changed}"
            assert torch.equal(vectors, right[1]), f"mutant {number} gives other features"
            assert preprocessing == right[2], f"mutant {number} has another preprocessing"
            assert description == right[3], f"mutant {number} has another description"
            self.check_config(number, right[3])
            self.loaded += 1

    def check_config(self, number: int, description: dict[str, Any]) -> None:
        """Asserts that the config of a network that was loaded tells timm and the Hub what the network is."""
        content = json.loads((self.folder / CONFIG).read_text())
        content["pretrained_cfg"]["license"] = description["pretrained_cfg"]["license"]  # which is not seen in it
        said = {name: content[name] for name in description}
        assert said == description, f"mutant {number} was loaded with another description in its config"


@pytest.fixture
def place(tmp_path):
    """A folder in memory, if the system has such, as files are written ten thousand times; and one thread for all."""
    memory, threads = Path("/dev/shm"), torch.get_num_threads()
    torch.set_num_threads(1)
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)
    torch.set_num_threads(threads)


@pytest.fixture
def judge(place, shapes_once):
    return Judge(write(place, network()), [load_run, load, load_pretrained])


# What is damaged, how many times, and what becomes of it.


CONFIG_BYTES, WEIGHTS_BYTES, CONFIG_VALUES, ENCODER_VALUES, HEADERS, VALUES = 2000, 2000, 2100, 1000, 2900, 150
"""How many files each test damages: all of them changed, and none like another of the same test."""


@pytest.fixture(params=[0.1, pytest.param(1.0, marks=pytest.mark.slow)], ids=["a tenth", "all"])
def share(request) -> float:
    """Which part of the files is damaged."""
    return request.param


def test_ten_thousand_files_are_damaged():
    assert CONFIG_BYTES + WEIGHTS_BYTES + CONFIG_VALUES + ENCODER_VALUES + HEADERS + VALUES >= 10_000


def test_mutants_are_changed_and_differ_from_each_other():
    found = dict(mutants(b"a", 20, lambda seed: b"abc"[seed % 3 :] + bytes([seed // 2])))
    assert len({*found.values(), b"a"}) == 21
    with pytest.raises(AssertionError, match="hardly changes"):
        list(mutants(b"a", 20, lambda seed: b"a"))


def test_a_config_with_changed_bytes_is_refused_or_changes_nothing(judge, share):
    count = round(share * CONFIG_BYTES)
    original = judge.files[CONFIG]
    for seed, content in mutants(original, count, lambda seed: damage(original, random.Random(seed))):
        judge(seed, {CONFIG: content})
    assert judge.loaded + judge.refused == count
    assert judge.refused > 0.7 * count


def test_weights_with_changed_bytes_are_refused(judge, share):
    count = round(share * WEIGHTS_BYTES)
    whole = judge.files[WEIGHTS]
    (length,) = struct.unpack("<Q", whole[:8])
    header = slice(0, 8 + length)

    def damaged(seed: int) -> bytes:
        chance = random.Random(seed)
        return damage(whole[header], chance) + whole[header.stop :] if seed % 2 else damage(whole, chance)

    for seed, content in mutants(whole, count, damaged):
        judge(seed, {WEIGHTS: content})
    assert judge.refused == count


def test_a_config_with_changed_values_is_refused_or_changes_nothing(judge, share):
    count = round(share * CONFIG_VALUES)
    original = judge.files[CONFIG]
    content = json.loads(original)

    def damaged(seed: int) -> bytes:
        # What may be anything, and costs a whole load each time, is changed in every fourth.
        return rewritten(content, random.Random(seed), ("log", "provenance") if seed % 4 else ())

    for seed, changed in mutants(written(content), count, damaged):
        judge(seed, {CONFIG: changed})
    assert judge.loaded + judge.refused == count
    assert judge.refused > 0.7 * count
    assert judge.loaded > 0.01 * count


def test_a_config_of_an_encoder_with_changed_values_is_refused_or_changes_nothing(place, shapes_once, share):
    """Also what the network is, how it pools, and what it says to timm."""
    count = round(share * ENCODER_VALUES)
    load(write(place / "run", network()), num_classes=3).save_pretrained(place / "encoder")
    (place / "encoder" / "README.md").unlink()
    judge = Judge(place / "encoder", [load])
    content = json.loads(judge.files[CONFIG])
    for seed, changed in mutants(written(content), count, lambda seed: rewritten(content, random.Random(seed))):
        judge(seed, {CONFIG: changed})
    assert judge.loaded + judge.refused == count
    assert judge.refused > 0.7 * count


def fitting(judge: Judge, weights: bytes) -> dict[str, bytes]:
    """Weights, and the config with their sha256."""
    old, new = (sha256(content).hexdigest().encode() for content in (judge.files[WEIGHTS], weights))
    return {WEIGHTS: weights, CONFIG: judge.files[CONFIG].replace(old, new)}


def test_weights_with_another_header_and_its_hash_are_refused_or_the_same(judge, share):
    count = round(share * HEADERS)
    whole = judge.files[WEIGHTS]
    for seed, content in mutants(whole, count, lambda seed: damaged_header(whole, random.Random(seed))):
        judge(seed, fitting(judge, content))
    assert judge.loaded + judge.refused == count
    assert judge.refused > 0.7 * count
    assert judge.loaded > 0.007 * count  # metadata, spaces and another order


def test_other_weights_with_their_hash_are_noticed_by_what_they_compute(judge, share):
    count = round(share * VALUES)
    original = parse(judge.files[WEIGHTS])

    def damaged(seed: int) -> bytes:
        state = dict(original)
        other_values(state, random.Random(seed))
        return save(state)

    for seed, content in mutants(save(original), count, damaged):
        judge(seed, fitting(judge, content))
    assert judge.refused == count
