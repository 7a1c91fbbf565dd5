"""Without escnn everything works but the networks built of it, and these say how to install it."""

from __future__ import annotations

import json
import sys

import pytest

from eqmodels import EqmodelsError, create_model, load
from eqmodels.backbones.loading import load_folder


def test_the_error_names_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "escnn", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install --no-deps escnn==1\.0\.11") as error:
        create_model("c4_resnet18s_w8", backend="escnn")
    assert error.value.name == "escnn"
    assert "pip install autograd joblib lie_learn pymanopt scipy" in str(error.value)


@pytest.mark.parametrize("read", [load, load_folder])
def test_a_file_of_such_a_network_is_refused_in_one_sentence(monkeypatch, tmp_path, read):
    create_model("c4_resnet18s_w8").save_pretrained(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    content["model_args"] |= {"backend": "escnn", "basis": "harmonic"}
    del content["model_args"]["downsampling"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    monkeypatch.setitem(sys.modules, "escnn", None)
    with pytest.raises(EqmodelsError, match=r"cannot be built here: .*pip install --no-deps escnn==1\.0\.11") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_native_networks_do_not_need_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "escnn", None)
    assert create_model("c4_resnet18s_w8").head_hidden_size == 16
