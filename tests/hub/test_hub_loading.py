"""A network from the Hub is whole and checked, or refused in one sentence, with a network or with the cache alone."""

from __future__ import annotations

import json
import pickle
import re
from functools import partial
from hashlib import sha256

import pytest
import torch
from safetensors.torch import load as parse
from safetensors.torch import save

from eqmodels import Backbone, load
from eqmodels.hub import load_pretrained, verify
from eqmodels.remote.download import Fetch
from tests.hub.networks import REPOSITORY, TOKENS, assert_is_network, network, refuses
from tests.hub_server import Fault, HubServer

SOURCE = f"hub:{REPOSITORY}"
STEM = "backbone.stem.conv.weight"
NAMED = r"(backbone\.)?stem\.conv\.weight"
"""As the file has it, or as the encoder that is loaded from it."""


@pytest.fixture
def server(tmp_path):
    """A Hub with one network, and this process as its client."""
    with HubServer(TOKENS) as hub, hub.client(tmp_path / "home"):
        hub.publish(REPOSITORY, network(), tag="v1")
        yield hub


@pytest.fixture
def unbuilt(monkeypatch):
    """No network is built from here on."""

    def build(*_, **__):
        raise AssertionError("something was built")

    monkeypatch.setattr(torch.nn.Module, "__init__", build)


def config(**changes) -> bytes:
    """The config with other values at its top level."""
    return json.dumps({**json.loads(network()["config.json"]), **changes}).encode()


def part(name, **changes) -> bytes:
    """The config with other values in one of its objects."""
    return config(**{name: {**json.loads(network()["config.json"])[name], **changes}})


def fitting(weights: bytes) -> dict[str, bytes]:
    """Other weights and a config with their hash."""
    return {"model.safetensors": weights, "config.json": config(sha256=sha256(weights).hexdigest())}


def with_state(change) -> dict[str, bytes]:
    """Files whose hashes agree, and whose tensors were changed."""
    state = parse(network()["model.safetensors"])
    change(state)
    return fitting(save(state))


# What is checked.


BAD_WEIGHTS = {
    "one bit": (
        lambda w: {"model.safetensors": w[:-9] + bytes([w[-9] ^ 1]) + w[-8:]},
        r"model.safetensors is damaged or of another network: its sha256 is \w{12}..., not \w{12}",
    ),
    "another file": (
        lambda w: {"model.safetensors": network(seed=1)["model.safetensors"]},
        "is damaged or of another network",
    ),
    "the end is missing": (
        lambda w: {"model.safetensors": w[:-4]},
        "is no whole safetensors file .*56784 bytes instead of",
    ),
    "bytes too many": (
        lambda w: {"model.safetensors": w + b"more"},
        "is no whole safetensors file .*56792 bytes instead",
    ),
    "no header": (
        lambda w: fitting(b"nonsense" * 100),
        "is no whole safetensors file .*a header of .* bytes in a file of 800",
    ),
    "nothing": (lambda w: fitting(b""), "is no whole safetensors file"),
    "a header without an end": (lambda w: fitting(w[:8] + b'{"a":' + w[13:]), "is no whole safetensors file"),
    "a missing tensor": (
        lambda _: with_state(lambda state: state.pop(STEM)),
        rf"of its tensors, 1 missing \({NAMED}\)",
    ),
    "a tensor too many": (
        lambda _: with_state(lambda state: state.update({"line\nbreak": torch.zeros(1)})),
        r"of its tensors, 1 unknown \('line\\nbreak'\)",
    ),
    "another shape": (
        lambda _: with_state(lambda state: state.update({STEM: state[STEM].flatten()})),
        rf"1 of another shape or type \({NAMED}\)",
    ),
    "another type": (
        lambda _: with_state(lambda state: state.update({STEM: state[STEM].half()})),
        rf"1 of another shape or type \({NAMED}\)",
    ),
    "no number": (
        lambda _: with_state(lambda state: state[STEM].view(-1)[3:4].fill_(torch.nan)),
        rf"holds numbers that are not finite, in 1 of \d+ tensors \({STEM}",
    ),
    "infinite": (
        lambda _: with_state(lambda state: state[STEM].view(-1)[3:4].fill_(torch.inf)),
        "numbers that are not finite",
    ),
    "other features": (
        lambda _: with_state(lambda state: state[STEM].mul_(1.01)),
        "gives features that differ from those stored with it by",
    ),
}


@pytest.mark.parametrize("fault", BAD_WEIGHTS)
def test_weights_are_checked_before_they_are_used(server, fault):
    """Size, hash, header, names, shapes, types, finite values, features: what any of them finds is named."""
    spoil, sentence = BAD_WEIGHTS[fault]
    server.publish(REPOSITORY, spoil(network()["model.safetensors"]))
    refuses(sentence, load, SOURCE)
    assert_is_network(load(f"{SOURCE}@v1"))
    report = verify(SOURCE)
    assert not report.passed
    assert re.search(sentence, report.first_failure)


def _objective(**options) -> dict:
    """A prediction with such options, as the config of a run has it."""
    return {"name": "prediction", "options": options}


BAD_CONFIGS = {
    "a later format": (
        partial(config, format=4),
        "is of format 4, and this version of eqmodels reads",
    ),
    "no format": (lambda: json.dumps({}).encode(), "is no config of eqmodels, which has a format. Name a network that"),
    "of timm": (
        lambda: json.dumps({"architecture": "resnet18s", "num_classes": 5, "pretrained_cfg": {}}).encode(),
        "is no config of eqmodels, which has a format, but one of timm. Load it with timm",
    ),
    "of transformers": (
        lambda: json.dumps({"architectures": ["ResNetModel"], "model_type": "resnet"}).encode(),
        "is no config of eqmodels, which has a format, but one of transformers. Load it with transformers",
    ),
    "an unknown key": (partial(config, auto_map={"AutoModel": "x.py"}), r"'auto_map' was unexpected\)"),
    "an unknown key within": (
        partial(part, "model_args", width=4),
        r"contradicts itself at \['model_args'\]\['width'\]",
    ),
    "an unknown argument": (
        partial(part, "pretraining", mixup=1),
        "describes no run: a pretraining config has no 'mixup'",
    ),
    "no object": (lambda: b"[]", "holds no object but a list"),
    "no JSON": (lambda: b"{", "cannot be read"),
    "not a number": (partial(config, num_classes=float("nan")), "cannot be read .NaN is no number"),
    "no text": (lambda: b"\xff\xfe{}", "cannot be read"),
    "too deep": (lambda: b"[" * 100_000, "cannot be read"),
    "too deep within": (partial(config, golden=json.loads("[" * 90 + "]" * 90)), r"breaks a rule"),
    "channels": (partial(part, "model_args", in_chans=10**9), r"at \['model_args'\]: numbers must be at most 1000000"),
    "classes": (partial(config, num_classes=10**12), r"at \['num_classes'\]"),
    "a width": (partial(config, architecture="c4_resnet18s_w40000"), r"contradicts itself at \['architecture'\]"),
    "a group": (partial(config, architecture="c4096_resnet18s_w4096"), r"contradicts itself at \['architecture'\]"),
    "the size of a pose": (
        partial(part, "model_args", pose_hidden=10**9),
        r"at \['model_args'\]: numbers must be at most",
    ),
    "the size of the images": (partial(part, "preprocessing", size=[10**6, 10**6]), r"at \['preprocessing'\]"),
    "the size of the stored features": (
        partial(part, "golden", size=[512, 512]),
        r"at \['golden'\]\['size'\]\[1\]: 512 is greater than the maximum of 64",
    ),
    "another size of the stored features": (
        partial(part, "golden", size=[12, 13]),
        r"at \['golden'\]: the size must be at most \[12, 12\]",
    ),
    "features": (
        partial(part, "golden", features=[1e300] * 32),
        r"at \['golden'\]: features must be finite in float32",
    ),
    "huge features": (partial(part, "golden", features=[10**400] * 32), r"at \['golden'\]: features must be finite"),
    "another network in the pretraining": (
        partial(part, "pretraining", model={"name": "c9999_resnet152_w9999999", "options": {}}),
        "describes no run: ",
    ),
    "a huge head": (
        partial(part, "pretraining", head_hidden=10**18),
        r"at \['pretraining'\]: numbers must be at most 4294967296",
    ),
    "many heads": (
        partial(part, "pretraining", task="+".join(["rotation"] * 10**4)),
        r"words must have at most \d+ letters",
    ),
    "a task that is no word": (
        partial(part, "pretraining", objective=_objective(task=4)),
        "describes no run: task must be",
    ),
    "lists": (partial(part, "pretraining", objective=_objective(head=[[]])), "describes no run: head must be"),
    "a path for a name": (
        partial(config, architecture="../../../etc/passwd"),
        r"contradicts itself at \['architecture'\]",
    ),
    "a path for a group": (
        partial(config, architecture="c4/../resnet18s_w4"),
        r"contradicts itself at \['architecture'\]",
    ),
    "a line break in a name": (
        partial(config, architecture="c4_resnet18s_w4\n"),
        r"contradicts itself at \['architecture'\]",
    ),
    "a path for a hash": (partial(config, sha256="../" * 21 + "a"), r"at \['sha256'\]"),
    "a path for a task": (
        partial(part, "pretraining", objective=_objective(task="../x")),
        "describes no run: task must be one of",
    ),
    "another size than it says": (partial(part, "pretrained_cfg", input_size=[1, 28, 28]), "contradicts itself"),
    "other features than it has": (
        partial(config, num_features=5),
        r"contradicts itself at \['num_features'\]: the network that it describes has 32, and it says 5",
    ),
}


@pytest.mark.parametrize("fault", BAD_CONFIGS)
def test_a_config_that_is_none_is_one_sentence(server, fault, request):
    spoil, sentence = BAD_CONFIGS[fault]
    server.publish(REPOSITORY, {"config.json": spoil()})
    if "describes" not in sentence and "contradicts" not in sentence:
        request.getfixturevalue("unbuilt")
    assert len(refuses(sentence, load, SOURCE)) < 1000


# Pickles.


class Malicious:
    """What a pickle may do when it is opened."""

    def __reduce__(self):
        return exec, ("raise AssertionError('a pickle was opened')",)


PICKLE = pickle.dumps(Malicious())


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "checkpoint.pt", "last.ckpt"])
@pytest.mark.parametrize("with_config", [False, True])
def test_a_pickle_is_never_fetched_and_the_sentence_says_why(server, name, with_config):
    server.publish("org/pickle", {name: PICKLE, **({"config.json": network()["config.json"]} if with_config else {})})
    missing = "model.safetensors" if with_config else "config.json"
    sentence = f"^org/pickle@main has no {missing}, only {name}: a pickle, which can run any code when it is opened"
    for call in (load, load_pretrained):
        refuses(sentence, call, "hub:org/pickle")
    refuses(sentence, Backbone.from_pretrained, "org/pickle")
    assert not server.calls(f"(GET|HEAD) .*{name}")


def test_a_pickle_under_another_name_is_not_opened(server):
    server.publish(REPOSITORY, fitting(PICKLE))
    refuses("is no whole safetensors file", load, SOURCE)


def test_a_repository_without_a_network_says_so(server):
    server.publish("org/text", {"README.md": b"# Text"})
    refuses("^org/text@main has no config.json, and so is no network of eqmodels.$", load, "hub:org/text")


# Names.


@pytest.mark.parametrize(
    "source",
    ["hub:", "hub:@v1", "hub:a/b/c", "hub:../x", "hub:org/../../x", "hub:/etc/passwd", "hub:org/a b", "hub:org/net\n"],
)
def test_a_name_that_is_none_is_refused_before_the_hub_is_asked(server, source):
    refuses("^a repository of the Hub is named organisation/name; got ", load, source, error=ValueError)
    assert server.requests == []


@pytest.mark.parametrize(
    "revision", ["../../x", "a/../b", "/etc/passwd", "v1\n", "v 1", "v1\0", "a\\b", "~1", "v1:x", "x" * 300, "a//b"]
)
def test_a_revision_that_is_none_is_refused_before_the_hub_is_asked(server, revision):
    refuses(
        "^a revision is a commit, a tag or a branch of the Hub; got ", load, f"{SOURCE}@{revision}", error=ValueError
    )
    assert server.requests == []


@pytest.mark.parametrize("source", ["x" * 5000, "a\0b", "c4_resnet18s_w4\n", "é" * 300])
def test_a_name_that_no_system_has_is_no_network(server, source):
    refuses("is neither the folder of a run nor a pretrained network", load, source, error=ValueError)


def test_what_is_not_there_is_named(server):
    refuses("^there is no repository org/none on the Hub, or it is private", load, "hub:org/none")
    refuses("^org/network has no revision 'v9'. Name a commit", load, f"{SOURCE}@v9")
    refuses("^org/network has no revision", load, SOURCE, revision="refs/pr/1")
    server.faults.append(Fault("HEAD", "status", status=403, code="GatedRepo", times=None))
    refuses("^org/network@main has terms that you must accept first", load, SOURCE)


def test_the_token_is_not_part_of_how_a_fetch_is_shown():
    assert "hf_" not in repr(Fetch(REPOSITORY, token="hf_shown"))
