"""Without escnn everything works but the networks built of it, and these say how to install it."""

from __future__ import annotations

import sys

import pytest

from eqmodels import create_model


def test_the_error_names_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "escnn", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install --no-deps escnn==1\.0\.11") as error:
        create_model("c4_resnet18s_w8", backend="escnn")
    assert error.value.name == "escnn"
    assert "pip install autograd joblib lie_learn pymanopt scipy" in str(error.value)


def test_native_networks_do_not_need_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "escnn", None)
    assert create_model("c4_resnet18s_w8").num_features == 16
