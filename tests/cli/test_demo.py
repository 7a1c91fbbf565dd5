"""``eqmodels demo``: the table, the page and its pictures."""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
from dataclasses import replace

import pytest

from eqmodels.cli import demo as command
from eqmodels.cli import main
from eqmodels.data import load_data


def cut_off(patch):
    """Makes every way to the network fail, as on a machine that has none; the names of those that are tried."""
    calls = []

    def failing(name):
        def fail(*_, **__):
            calls.append(name)
            raise OSError("there is no network")

        return fail

    for owner, name in (
        (socket, "create_connection"),
        (socket, "getaddrinfo"),
        (socket.socket, "connect"),
        (socket.socket, "connect_ex"),
    ):
        patch.setattr(owner, name, failing(name))
    return calls


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What a short demo on fewer images printed as JSON, its page, and the calls by which it asked for a network."""
    folder, printed = tmp_path_factory.mktemp("report"), io.StringIO()
    few = {
        (name, split): load_data(name, split).balanced_subset(count)
        for name, *counts in ((command.DATA, 96, 64), (command.LEARNED, 300, 100), (command.PARTS, 48, 36))
        for split, count in zip(("train", "test"), counts, strict=True)
    }
    for split in ("train", "test"):  # every other pixel: a quarter of the time
        found = few[command.DATA, split]
        few[command.DATA, split] = replace(found, images=found.images[..., ::2, ::2])
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(command, "load_data", lambda *asked: few[asked])
        patch.setattr(command, "PROBED", 96)
        patch.setattr(command, "LEARNING_IMAGES", 40)
        patch.setattr(command, "PROBED_PARTS", 48)
        patch.setattr(command, "CURVE_IMAGES", 20)
        patch.setattr(command, "TRIAL_STEPS", 4)
        calls = cut_off(patch)
        assert main(["demo", "--folder", str(folder), "--seconds", "1", "--json"]) == 0
    return json.loads(printed.getvalue()), (folder / "index.html").read_text(), calls


def test_the_network_is_asked_for_nothing(demo):
    assert demo[2] == []


def test_what_asks_the_network_is_noticed(monkeypatch):
    calls = cut_off(monkeypatch)
    with socket.socket() as plain:
        for ask in (socket.create_connection, plain.connect, plain.connect_ex):
            with pytest.raises(OSError, match="there is no network"):
                ask(("127.0.0.1", 9))
    with pytest.raises(OSError, match="there is no network"):
        socket.getaddrinfo("localhost", 80)
    assert calls == ["create_connection", "connect", "connect_ex", "getaddrinfo"]


def test_turning_costs_the_resnet_its_accuracy_and_the_canonical_features_nothing(demo):
    twins = demo[0]["twins"]
    ours = {entry["kind"]: entry for entry in twins[command.EQUIVARIANT]["kinds"]}
    standard = {entry["kind"]: entry for entry in twins[command.STANDARD]["kinds"]}
    # Of 16 classes, with six small pictures of each to learn from.
    assert min(ours["canonical"]["accuracy"], standard["regular"]["accuracy"]) > 0.1
    assert abs(ours["canonical"]["turned"] - ours["canonical"]["accuracy"]) < 0.005
    assert list(standard) == ["regular", "orbit-mean"]


def test_parts_in_any_pose_are_known_as_upright_ones_are(demo):
    clouds = demo[0]["clouds"]
    (scores,) = clouds["kinds"]
    assert (scores["kind"], clouds["train"], clouds["test"]) == (
        "canonical",
        [command.PARTS, 48],
        [command.PARTS, 36],
    )
    assert scores["turned"] == pytest.approx(scores["accuracy"], abs=1.5 / 36)
    assert scores["accuracy"] > 2 / 12
    assert clouds["up"] < 60
    assert f"to {clouds['up']:.0f} degrees in the median" in demo[1]


def test_speeds_errors_and_parameters_are_measured(demo):
    for name, twin in demo[0]["twins"].items():
        assert twin["images_per_second"] > 0
        assert twin["parameters"] > 1e5
        worst = max(twin["equivariance_error"].values())
        assert worst < 1e-5 if name.startswith("c4") else worst > 0.1


def test_the_tiny_network_takes_steps_until_the_time_or_its_epochs_are_over(demo):
    learning = demo[0]["learning"]
    steps_an_epoch = 300 // 64
    assert learning["seconds"] >= 1 or len(learning["losses"]) % steps_an_epoch == 0
    assert all(loss > 0 for loss in learning["losses"])


def test_the_page_has_its_pictures_and_every_row(demo):
    page = demo[1]
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 3
    assert all(len(picture) > 10_000 for picture in pictures)
    assert page.count("<tr>") == 1 + 3 + 2 + 2


def test_the_shortest_duration_is_one_step(monkeypatch):
    monkeypatch.setattr(command, "LEARNING_IMAGES", 20)
    monkeypatch.setattr(command, "TRIAL_STEPS", 4)
    train, test = (load_data(command.LEARNED, split).balanced_subset(70) for split in ("train", "test"))
    learning = command._learn(train, test, 1e-9)
    assert len(learning.losses) == 1
    assert {scores.kind for scores in learning.after.kinds} == {"invariant-3", "regular", "canonical"}


def test_a_duration_that_is_none_is_refused_in_one_sentence(capsys):
    assert main(["demo", "--seconds", "0"]) == 2
    assert "--seconds must be positive; got 0" in capsys.readouterr().err
