"""Three thousand files with parts of other networks: whole in themselves, and wrong where they are.

Damage of bytes and values (`test_fuzz`) seldom leaves a file that is right in form. Here each part is right: a subtree
of another network's config, another network's filters of the same shape, a layer in the place of its neighbour, or
filters whose fields, group elements or pixels are in another order; and the sha256 is that of the weights.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
import torch
from safetensors.torch import load as parse
from safetensors.torch import save

from tests.hub.judge import CONFIG, WEIGHTS, fitting
from tests.hub.mutants import mutants
from tests.hub.networks import NAME, TWIN, network

CONFIGS, STATES = 1200, 1800
"""How many configs and how many files of weights are made; there are not many more configs to be had."""

DONORS = [(NAME, 1), (TWIN, 0), ("c4_resnet18s_w8.rot_photos", 0), ("d4_resnet18s_w8.rot_photos", 0)]
FREE = ("log", "provenance", "sha256")
"""What may be anything, or is made to fit."""


@pytest.fixture(params=[0.02, pytest.param(1.0, marks=pytest.mark.slow)], ids=["a few", "all"])
def share(request) -> float:
    """Which part of the files is made: what is right in form is computed with, which takes a tenth of a second."""
    return request.param


def test_a_config_with_parts_of_another_networks_is_refused_or_changes_nothing(judge, share):
    original = json.loads(judge.files[CONFIG])
    donors = [json.loads(network(*donor)[CONFIG]) for donor in DONORS]

    def grafted(seed: int) -> bytes:
        chance, content = random.Random(seed), copy.deepcopy(original)
        for _ in range(chance.choice((1, 2, 3, 5))):
            graft(content, chance.choice(donors), chance)
        return json.dumps(content).encode()

    for seed, content in mutants(json.dumps(original).encode(), round(share * CONFIGS), grafted, tries=12):
        judge(seed, {CONFIG: content})
    assert judge.loaded + judge.refused == round(share * CONFIGS)
    assert judge.refused > 0.5 * share * CONFIGS


def graft(content: dict[str, Any], donor: dict[str, Any], chance: random.Random) -> None:
    """A subtree of another config in the place where it was; one level deeper or not by chance."""
    name = chance.choice([name for name in content if name in donor and name not in FREE])
    while isinstance(content[name], dict) and isinstance(donor[name], dict) and chance.random() < 0.8:
        shared = [key for key in content[name] if key in donor[name]]
        if not shared:
            break
        content, donor, name = content[name], donor[name], chance.choice(shared)
    content[name] = copy.deepcopy(donor[name])


def test_weights_with_parts_of_other_layers_and_networks_are_noticed(judge, share):
    original = parse(judge.files[WEIGHTS])
    donors = [parse(network(*donor)[WEIGHTS]) for donor in DONORS]

    def moved(seed: int) -> bytes:
        state, chance = dict(original), random.Random(seed)
        for _ in range(chance.choice((1, 1, 2, 4))):
            chance.choice((exchange_layers, transplant, reorder))(state, donors, chance)
        return save({name: value.contiguous() for name, value in state.items()})

    for seed, content in mutants(save(original), round(share * STATES), moved, tries=4):
        judge(seed, fitting(judge, content))
    assert judge.loaded + judge.refused == round(share * STATES)
    assert judge.refused > 0.95 * share * STATES


State = dict[str, torch.Tensor]


def seen(state: State) -> list[str]:
    """Names of the tensors that outputs depend on."""
    return sorted(name for name, value in state.items() if value.dim())


def exchange_layers(state: State, donors: list[State], chance: random.Random) -> None:
    """Two modules of the same kind, all of whose tensors have the same shapes, exchanged."""
    places = sorted({name.rpartition(".")[0] for name in seen(state)})
    kinds = {
        place: {name.removeprefix(place): state[name].shape for name in state if under(name, place)} for place in places
    }
    one = chance.choice(places)
    other = chance.choice([place for place in places if kinds[place] == kinds[one]])
    for tail in kinds[one]:
        state[one + tail], state[other + tail] = state[other + tail], state[one + tail]


def transplant(state: State, donors: list[State], chance: random.Random) -> None:
    """All tensors below a place out of another network, as far as their shapes are the same."""
    donor, name = chance.choice(donors), chance.choice(seen(state))
    place = ".".join(name.split(".")[: chance.randrange(2, name.count(".") + 2)])
    for one in [one for one in seen(state) if under(one, place)]:
        if one in donor and donor[one].shape == state[one].shape:
            state[one] = donor[one]


def reorder(state: State, donors: list[State], chance: random.Random) -> None:
    """The entries of an axis of a tensor in another order, or its last two axes exchanged."""
    name = chance.choice(seen(state))
    value = state[name]
    if value.dim() > 3 and value.shape[-1] == value.shape[-2] and chance.random() < 0.3:
        state[name] = value.transpose(-1, -2)
        return
    axis = chance.randrange(value.dim())
    order = list(range(value.shape[axis]))
    chance.shuffle(order)
    state[name] = value.index_select(axis, torch.tensor(order))


def under(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")
