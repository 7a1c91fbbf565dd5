"""A verification is of one commit, of all its files, and says what it could not check."""

from __future__ import annotations

from hashlib import sha256
from importlib import import_module

from eqmodels import EqmodelsError, create_model, load
from eqmodels.hub import verify
from eqmodels.hub.verification import NAMES
from tests.hub.networks import REPOSITORY, network
from tests.hub_server import Fault

SOURCE = f"hub:{REPOSITORY}"
VERIFYING = import_module("eqmodels.hub.verification")


def found(report) -> dict:
    """Whether each check passed, and what it found."""
    return {check.name: (check.passed, check.found) for check in report.checks}


# Results.


def test_results_of_other_weights_in_a_repository_are_found_out(server, api):
    server.publish(REPOSITORY, network() | {"results.json": network(seed=1)["results.json"]})
    report = verify(SOURCE)
    assert not report.passed
    assert [check.name for check in report.checks] == list(NAMES[:7])
    assert "results.json belongs to other weights: those of sha256 " in report.first_failure


def test_results_of_a_repository_are_read(server, api):
    server.publish(REPOSITORY, network())
    for options in ({}, {"local_files_only": True}):
        assert found(verify(SOURCE, **options))["results"] == (True, "of these weights, on 24 images of photos")


def test_without_results_there_is_nothing_to_check(server, api):
    server.publish(REPOSITORY, {name: network()[name] for name in ("config.json", "model.safetensors")})
    for options in ({}, {"local_files_only": True}):
        report = verify(SOURCE, **options)
        assert report.passed
        passed, words = found(report)["results"]
        assert passed is None
        assert words.startswith("there is no results.json in ")


def test_results_that_the_cache_lacks_are_not_needed_offline(server, api):
    server.publish(REPOSITORY, network())
    load(SOURCE)
    assert found(verify(SOURCE, local_files_only=True))["results"][0] is None
    server.stop()
    report = verify(SOURCE)
    assert report.passed
    assert found(report)["results"][0] is None


def test_results_that_the_hub_refuses_are_no_missing_ones(server, api):
    server.publish(REPOSITORY, network())
    server.faults.append(Fault("results.json", "status", status=403, times=None))
    assert "the Hub refuses results.json of org/network@main (403" in verify(SOURCE).first_failure


# One commit.


def test_what_moves_meanwhile_does_not_matter(server, api):
    """The branch moves as soon as the first file was asked for; all that is checked is of the commit before."""
    first = server.publish(REPOSITORY, network())

    class Moving(Fault):
        def strikes(self, request):
            if "HEAD" in request and "model.safetensors" in request and not self.seen:
                self.seen = 1
                server.publish(REPOSITORY, network(seed=1))
            return False

    server.faults.append(Moving("", "hang up"))
    report = verify(SOURCE)
    assert report.passed
    assert found(report)["files"][1].endswith(first)
    assert sha256(network()["model.safetensors"]).hexdigest()[:12] in found(report)["weights"][1]
    assert len(server.calls("HEAD .*/resolve/main/")) == 1


def test_a_network_is_loaded_once(monkeypatch, folder):
    loaded = []
    monkeypatch.setattr(VERIFYING, "load_held", lambda held: loaded.append(held.path) or load(held.path))
    assert verify(folder).passed
    assert loaded == [folder]


def test_equivariance_that_cannot_be_measured_is_a_check_that_failed(monkeypatch, folder):
    def fail(*_, **__):
        raise EqmodelsError("no memory")

    monkeypatch.setattr(VERIFYING, "equivariance_report", fail)
    report = verify(folder)
    assert not report.passed
    assert report.first_failure == "equivariance: no memory"
    assert [check.name for check in report.checks] == list(NAMES)


# Equivariance.


def test_a_group_without_exact_elements_is_not_said_to_be_exact(tmp_path):
    create_model("c3_resnet18s_w6", num_classes=2, in_chans=1).save_pretrained(tmp_path)
    report = verify(tmp_path)
    assert report.passed
    passed, words = found(report)["equivariance"]
    assert passed is None
    assert words.startswith("no element of C3 but the identity permutes pixels, so none is to be exact; the error is ")
    assert report.equivariance.worst_exact is None
    assert f"{report.equivariance.worst.error:.1e}" in words


def test_a_network_without_a_group_has_no_equivariance(tmp_path):
    create_model("resnet18s_w4", num_classes=2).save_pretrained(tmp_path)
    report = verify(tmp_path)
    assert report.passed
    assert found(report)["equivariance"] == (None, "the network has no group")
    assert report.equivariance is None


def test_an_error_that_is_too_large_fails(monkeypatch, folder):
    monkeypatch.setattr(VERIFYING, "TOLERANCE", 0.0)
    report = verify(folder)
    assert not report.passed
    assert report.first_failure.startswith("equivariance: error at most ")
