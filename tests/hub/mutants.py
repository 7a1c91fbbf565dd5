"""Damage to files, by a seed: bytes, values of a config, headers and values of weights."""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import torch


def mutants(
    original: bytes, count: int, damaged: Callable[[int], bytes], *, tries: int = 2
) -> Iterator[tuple[int, bytes]]:
    """So many files, each with its seed, that differ from the original and from each other.

    Raises:
        AssertionError: if of so many `tries` for each file the rest gives the original, or what was there before.
    """
    known, seed = {sha256(original).digest()}, 0
    while len(known) <= count:
        content = damaged(seed)
        if (digest := sha256(content).digest()) not in known:
            known.add(digest)
            yield seed, content
        seed += 1
        assert seed < tries * count, "damage that hardly changes anything"


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
    -(2**63), 2**64, 10**30, "", "0", "4", "a", "c4", "d4", "c1", "resnet18s", "rotation", "line\nbreak", "\u2028",
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


def rewritten(content: dict, chance: random.Random, kept: tuple[str, ...] = ()) -> bytes:
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


# Headers.


TYPES = [
    "F64",
    "F32",
    "F16",
    "BF16",
    "I64",
    "I32",
    "I16",
    "I8",
    "U8",
    "U64",
    "BOOL",
    "F8_E4M3",
    "F4",
    "C64",
    "",
    "f32",
    4,
    None,
]


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


# Values.


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
