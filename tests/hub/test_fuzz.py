"""Ten thousand damaged files: each is refused in one sentence, or is the network that it was, bit for bit.

The mutants are the same in every run, and the number in a failure's sentence is that of the mutant. What nothing can
detect is not among them: weights that were changed together with their sha256 and are the heads', which the stored
features do not show, or change these by less than their tolerance. Such files are not damaged but published anew.
"""

from __future__ import annotations

import copy
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

from eqmodels import Encoder, EqmodelsError, load
from eqmodels.backbones.files import describe_encoder
from eqmodels.hub import load_pretrained
from eqmodels.training import load_run
from tests.hub.test_publish import features, network, write

CONFIG, WEIGHTS = "config.json", "model.safetensors"


@pytest.fixture
def shapes_once(monkeypatch, no_shape_checks):
    """The shapes of a network are worked out once a description: else most of the time would go into them."""
    for module, name in (("eqmodels.training.run", "build_model"), ("eqmodels.backbones.files", "build_encoder")):
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
        model, encoder = (loaded, loaded) if isinstance(loaded, Encoder) else (loaded.model, loaded.model.backbone)
        description = describe_encoder(loaded) if isinstance(loaded, Encoder) else loaded.description()
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


# Bytes.


def damage(content: bytes, chance: random.Random) -> bytes:
    """A few bits, bytes and pieces of a file changed."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 2, 4, 8, 16))):
        at, length = chance.randrange(len(data) or 1), chance.choice((1, 1, 2, 5, 40))
        kind = chance.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at : at + length] = chance.randbytes(length)
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length]
        elif kind == 4:
            data[at:at] = chance.choice((b"\0", b"\xff", b"\n", b'"', b"{", b"]", b"-", b"9", b"e999", b"\\ud800"))
        elif kind == 5:
            del data[at if chance.random() < 0.2 else -length :]
        else:
            other = chance.randrange(len(data) or 1)
            data[at : at + length], data[other : other + length] = data[other : other + length], data[at : at + length]
    return bytes(data)


def test_a_config_with_changed_bytes_is_refused_or_changes_nothing(judge):
    for number in range(2000):
        judge(number, {CONFIG: damage(judge.files[CONFIG], random.Random(number))})
    assert judge.refused > 1500


def test_weights_with_changed_bytes_are_refused(judge):
    whole = judge.files[WEIGHTS]
    (length,) = struct.unpack("<Q", whole[:8])
    header = slice(0, 8 + length)
    for number in range(2000):
        chance = random.Random(number)
        damaged = damage(whole[header], chance) + whole[header.stop :] if number % 2 else damage(whole, chance)
        if damaged == whole:  # a bit and back again
            damaged = whole + b"\0"
        judge(number, {WEIGHTS: damaged})
    assert judge.refused == 2000


# JSON.


RAW = {
    "deep": "[" * 400 + "]" * 400,
    "deeper": '{"a":' * 900 + "1" + "}" * 900,
    "deepest": "[" * 100_000,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "overflow": "1e999",
    "underflow": "-1e-999",
    "digits": "9" * 1000,
    "more digits": "9" * 5000,
    "nothing": "",
    "comma": ",",
    "surrogate": '"\\ud800"',
    "bell": '"\x07"',
}
ODD = [
    None, True, False, 0, 1, -1, 2, 4, 0.0, -0.0, 0.5, 1.5, 4.0, 1e-320, 1e38, 1e39, -1e300, 2**31, 2**32 + 1, 2**63,
    -(2**63), 2**64, 10**30, "", "0", "4", "a", "c4", "d4", "c1", "resnet18", "rotation", "line\nbreak", "\u2028",
    "\0", "é" * 50, "../../etc/passwd", "x" * 10_000, "c9999_resnet152_w999999", [], {}, [[]], [{}], [1] * 50,
    {"": None}, [None], {"a": {"b": [1]}}, ["c4", "c4", "c4"],
]  # fmt: skip


def written(content: Any) -> bytes:
    """As JSON, with the pieces of `RAW` in their places."""
    text = json.dumps(content)
    for name, piece in RAW.items():
        text = text.replace(f'"raw {name}"', piece)
    return text.encode()


def odd(value: Any, chance: random.Random) -> Any:
    """Another value in the place of this one."""
    kind = chance.randrange(8)
    if kind == 0:
        return f"raw {chance.choice(list(RAW))}"
    if kind == 1:
        return chance.choice(([value], {"a": value}, str(value), [value, value], bool(value)))
    if kind == 2 and isinstance(value, int | float):
        return chance.choice((value + 1, -value, value * 10, value / 2, value * 2**60, float(value), value + 1e-7))
    if kind == 3 and isinstance(value, str):
        return chance.choice(
            (value[:-1], value + "1", value.upper(), value + "\n", value[::-1], f" {value}", value * 9)
        )
    if kind == 4 and isinstance(value, list) and value:
        return chance.choice((value[:-1], value + value[:1], value[::-1], value * 2, value * 2000, value[:1]))
    return copy.deepcopy(chance.choice(ODD))


def places(content: Any) -> list[tuple[Any, Any]]:
    """Every container in a value with one of its keys."""
    keys = content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    own = [(content, key) for key in keys]
    return own + [place for key in keys for place in places(content[key])]


def rewrite(content: dict, chance: random.Random, kept: tuple[str, ...] = ()) -> bytes:
    """A few keys deleted, doubled, renamed and exchanged, and values replaced; top-level parts equally often."""
    content = copy.deepcopy(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        part = chance.choice([name for name in content if name not in kept] or [""])
        possible = [(content, part)] if part in content else []
        if part in content and chance.random() < 0.7:
            possible = places(content[part]) or possible
        possible = [place for place in possible if place[1] not in kept]
        if not possible:
            continue
        holder, key = chance.choice(possible)
        kind = chance.randrange(10)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[chance.choice(("", "format", "auto_map", f"{key} ", "\ud800", "x" * 5000))] = holder[key]
        elif kind == 2 and isinstance(holder, dict):
            other = chance.choice(list(holder))
            if other not in kept:
                holder[key], holder[other] = holder[other], holder[key]
        elif kind == 3:
            holder[key] = copy.deepcopy(chance.choice(list(content.values())))
        else:
            holder[key] = odd(holder[key], chance)
    data = written(content)
    if chance.random() < 0.05 and content:  # a key that is there twice
        name = chance.choice(list(content))
        second = b"%s: %s" % (json.dumps(name).encode(), written(odd(content[name], chance)))
        data = chance.choice((data[:-1] + b", " + second + b"}", b"{" + second + b", " + data[1:]))
    return data


def test_a_config_with_changed_values_is_refused_or_changes_nothing(judge):
    content = json.loads(judge.files[CONFIG])
    for number in range(2000):
        # What may be anything, and costs a whole load each time, is changed in every fourth.
        kept = ("log", "provenance") if number % 4 else ()
        judge(number, {CONFIG: rewrite(content, random.Random(number), kept)})
    assert judge.refused > 1500
    assert judge.loaded > 20


def test_a_config_of_an_encoder_with_changed_values_is_refused_or_changes_nothing(place, shapes_once):
    """Also what the network is, how it pools, and what it says to timm."""
    load(write(place / "run", network()), num_classes=3).save_pretrained(place / "encoder")
    (place / "encoder" / "README.md").unlink()
    judge = Judge(place / "encoder", [load])
    content = json.loads(judge.files[CONFIG])
    for number in range(1000):
        judge(number, {CONFIG: rewrite(content, random.Random(number))})
    assert judge.refused > 700


# Headers, with the sha256 that belongs to them.


def fitting(judge: Judge, weights: bytes) -> dict[str, bytes]:
    """Weights, and the config with their sha256."""
    old, new = (sha256(content).hexdigest().encode() for content in (judge.files[WEIGHTS], weights))
    return {WEIGHTS: weights, CONFIG: judge.files[CONFIG].replace(old, new)}


TYPES = [
    "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "U64", "BOOL", "F8_E4M3", "F4", "C64", "",
    "f32", 4, None,
]  # fmt: skip


def damage_entry(entry: dict, chance: random.Random) -> None:
    """Type, shape or place of a tensor changed."""
    kind = chance.randrange(8)
    if kind == 0:
        entry["dtype"] = chance.choice(TYPES)
    elif kind == 1 and isinstance(entry.get("shape"), list):
        entry["shape"] = chance.choice(
            (entry["shape"][::-1], entry["shape"] + [1], entry["shape"][1:], [2**62, 4], [-n for n in entry["shape"]])
        )
    elif kind == 2 and isinstance(entry.get("data_offsets"), list):
        step = chance.choice((1, -1, 4, -4, 2**40, 2**63, -(2**63)))
        entry["data_offsets"] = [
            offset + step * chance.choice((0, 1, 2)) if isinstance(offset, int) else offset
            for offset in entry["data_offsets"]
        ]
    elif kind == 3:
        del entry[chance.choice(list(entry))]
    elif kind == 4:
        entry["more"] = chance.choice(ODD)
    else:
        key = chance.choice(list(entry))
        entry[key] = odd(entry[key], chance)


def damaged_header(whole: bytes, chance: random.Random) -> bytes:
    """A file whose header is another one; one time in six of another length than it says."""
    (length,) = struct.unpack("<Q", whole[:8])
    header, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        names = sorted(name for name in header if name.startswith("backbone."))
        name, other = chance.sample(names, 2)
        kind = chance.randrange(11)
        if kind == 0:
            header.pop(name)
        elif kind == 1:
            header[chance.choice(("", "__metadata__", f"{name}.", "line\nbreak", "\ud800", "x" * 5000))] = header[name]
        elif kind == 2:
            header[f"{name}2"] = header.pop(name)
        elif kind == 3:
            metadata = ({"a": "é" * 99}, {"a": 1}, [], None, "pt", {"a": {}}, 5, {"a": None})
            header["__metadata__"] = chance.choice(metadata)
        elif kind == 4:
            header[name] = odd(header[name], chance)
        elif kind == 5:  # another order, which means nothing, or other tensors, which does
            if chance.random() < 0.1:
                header = dict(chance.sample(list(header.items()), len(header)))
            else:
                header[name], header[other] = header[other], header[name]
        elif isinstance(header[name], dict) and header[name]:
            header[name] = dict(header[name])
            damage_entry(header[name], chance)
    text = written(header if chance.random() < 0.97 else chance.choice(ODD)).decode()
    content = text.encode("utf-16" if chance.random() < 0.01 else "utf-8") + b" " * chance.choice((0, 0, 0, 0, 0, 8))
    length = len(content)
    if chance.random() < 1 / 6:
        lengths = (0, 1, length - 1, length + 1, length + 8, 2**31, 2**63, 2**64 - 1, chance.randrange(5000))
        length = chance.choice(lengths)
    if chance.random() < 0.1:
        data = chance.choice((data[:-4], data + bytes(4), b"", data[4:], data * 2))
    return struct.pack("<Q", length) + content + data


def test_weights_with_another_header_and_its_hash_are_refused_or_the_same(judge):
    for number in range(2850):
        judge(number, fitting(judge, damaged_header(judge.files[WEIGHTS], random.Random(number))))
    assert judge.refused > 2000
    assert judge.loaded > 20  # metadata, spaces and another order


# Values, with the sha256 that belongs to them.


def other_values(state: dict[str, torch.Tensor], chance: random.Random) -> None:
    """Two tensors of the backbone exchanged, one of them with other values, or one value that is no number."""
    names = sorted(name for name, value in state.items() if name.startswith("backbone.") and value.dim())
    name = chance.choice(names)
    value = state[name]
    kind = chance.randrange(7)
    if kind == 0:
        other = chance.choice([one for one in names if state[one].shape == value.shape])
        if other == name:
            kind = 1
        else:
            state[name], state[other] = state[other], value
    flat = value.clone().flatten()
    one = chance.randrange(len(flat))
    if kind == 1:
        state[name] = value * chance.choice((0.0, 0.5, 1.5, 100.0))
    elif kind == 2:
        state[name] = value.flatten().roll(1).view(value.shape) if len(flat) > 1 else value + 1
    elif kind in (3, 4, 5):
        flat[one] = chance.choice((torch.nan, torch.inf, -torch.inf))
        state[name] = flat.view(value.shape)
    elif kind == 6:
        state[name] = value + 0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(one))


def test_other_weights_with_their_hash_are_noticed_by_what_they_compute(judge):
    original = parse(judge.files[WEIGHTS])
    for number in range(150):
        state = dict(original)
        other_values(state, random.Random(number))
        judge(number, fitting(judge, save(state)))
    assert judge.refused == 150
