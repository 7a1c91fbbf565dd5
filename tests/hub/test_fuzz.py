"""Ten thousand damaged files: each is refused in one sentence, or is the network that it was, bit for bit.

A tenth of them is damaged each time, all of them among the long checks. The mutants are the same in every run, and the
number in a failure's sentence is that of the mutant. What nothing can detect is not among them: weights that were
changed together with their sha256 and that change the stored outputs of encoder and heads by less than their tolerance.
Such files are not damaged but published anew.
"""

from __future__ import annotations

import json
import random
import struct

import pytest
from safetensors.torch import load as parse
from safetensors.torch import save

from eqmodels import load
from tests.hub.judge import CONFIG, WEIGHTS, Judge, fitting
from tests.hub.mutants import damage, damaged_header, mutants, other_values, rewritten, written
from tests.hub.networks import network, write

# What is damaged, how many times, and what becomes of it.


CONFIG_BYTES, WEIGHTS_BYTES, CONFIG_VALUES, ENCODER_VALUES, HEADERS, VALUES = 2000, 2000, 2100, 1000, 2900, 150
"""How many files each test damages: all of them changed, and none like another of the same test."""


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
