"""`EquivariantFeatures` is a step of scikit-learn: copied, pickled, piped and searched like its own."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

import eqmodels.sklearn
from eqmodels import create_model, load
from eqmodels.sklearn import EquivariantFeatures
from eqmodels.transforms import Preprocessing


@pytest.fixture(scope="module")
def name(tmp_path_factory):
    """The folder of a small network."""
    folder = tmp_path_factory.mktemp("networks") / "small"
    save(folder, seed=0)
    return str(folder)


def save(folder, *, seed):
    torch.manual_seed(seed)
    encoder = create_model("c4_resnet18s_w4", in_chans=3, num_classes=0)
    encoder.preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, (8, 8), "squash")
    encoder.eval().save_pretrained(folder)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (10, 9, 11, 3), dtype=np.uint8)


def test_features_are_those_of_the_network_however_pictures_are_given(name, pixels, tmp_path):
    encoder = load(name)
    with torch.no_grad():
        expected = encoder(torch.stack([encoder.transform()(one) for one in pixels])).numpy()
    paths = []
    for number, one in enumerate(pixels):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(one).save(paths[-1])
    pictures = [Image.fromarray(one) for one in pixels]
    step = EquivariantFeatures(name, batch_size=3)
    for given in (
        pixels,
        pixels / 255,
        list(pixels),
        paths,
        [*map(str, paths)],
        np.array([*map(str, paths)]),
        np.array([*map(str, paths)])[:, None],
        pandas.DataFrame({"picture": [*map(str, paths)]}),
        pictures,
    ):
        np.testing.assert_allclose(step.fit_transform(given), expected, atol=1e-5 * np.abs(expected).max())
    assert step.n_features_out_ == expected.shape[1]
    assert step.get_feature_names_out().tolist() == [f"equivariantfeatures{n}" for n in range(expected.shape[1])]
    grey = step.transform(pixels[..., 0])  # one channel becomes three
    np.testing.assert_allclose(grey, step.transform(np.repeat(pixels[..., :1], 3, axis=3)), atol=1e-6)


def test_it_is_searched_in_a_pipeline(name, pixels):
    steps = make_pipeline(EquivariantFeatures(name), LogisticRegression())
    grid = {"equivariantfeatures__features": ["invariant", "regular"]}
    search = GridSearchCV(steps, grid, cv=2).fit(list(pixels), np.arange(10) % 2)
    assert search.predict(list(pixels)).shape == (10,)
    chosen = search.best_params_["equivariantfeatures__features"]
    assert search.best_estimator_[0].n_features_out_ == load(name, global_pool=chosen).head_hidden_size


def test_it_is_pickled_by_the_name_of_its_network(name, pixels):
    step = EquivariantFeatures(name).fit(pixels)
    content = pickle.dumps(step)
    assert len(content) < 1000
    np.testing.assert_array_equal(pickle.loads(content).transform(pixels), step.transform(pixels))
    assert clone(step).get_params() == step.get_params()


def test_a_pickle_knows_its_network_again(pixels, tmp_path):
    save(tmp_path / "small", seed=0)
    content = pickle.dumps(EquivariantFeatures(str(tmp_path / "small")).fit(pixels))
    save(tmp_path / "small", seed=1)
    with pytest.raises(ValueError, match="small has other weights than when this estimator was fitted"):
        pickle.loads(content).transform(pixels)


# Of scikit-learn's own checks, those that do not give rows of numbers, which are no pictures.
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_no_attributes_set_in_init,
    ],
    ids=lambda check: check.__name__,
)
def test_checks_of_scikit_learn_pass(check):
    check("EquivariantFeatures", EquivariantFeatures())


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ("a.png", TypeError, r"takes several pictures; got 'a\.png'\. Pass a list"),
        (3, TypeError, "takes several pictures; got 3"),
        ([], ValueError, "takes at least one picture; got none"),
        ([3], TypeError, "takes pictures as paths, of PIL, or as arrays; got 3"),
        (["absent.png"], ValueError, r"absent\.png cannot be read as an image"),
        (np.zeros((2, 9)), ValueError, r"takes arrays \(N, H, W\) or \(N, H, W, C\).*Reshape rows of pixels"),
        (np.full((2, 9, 9), 7.0), ValueError, "floats in "),
        (np.zeros((2, 3, 9, 9)), ValueError, r"the channels of an array are its last axis; got a picture of shape \(3"),
        (pandas.DataFrame({"a": ["x"], "b": ["y"]}), ValueError, "takes one column of paths; got a table of 2"),
    ],
)
def test_what_is_no_picture_is_refused(name, pixels, given, error, sentence):
    with pytest.raises(error, match=sentence):
        EquivariantFeatures(name).fit(pixels).transform(given)


def test_what_cannot_be_fitted_is_refused(name, pixels):
    with pytest.raises(NotFittedError):
        EquivariantFeatures(name).transform(pixels)
    with pytest.raises(ValueError, match="nothing"):
        EquivariantFeatures("nothing").fit(pixels)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        EquivariantFeatures(name, batch_size=0).fit(pixels)
    grey = EquivariantFeatures(name, in_chans=1).fit(pixels)
    with pytest.raises(
        ValueError, match="the pictures have colours and the network takes one channel; pass in_chans=3"
    ):
        grey.transform(pixels)
    assert grey.set_params(grey=True).transform(pixels).shape == (10, grey.n_features_out_)


def test_without_scikit_learn_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ModuleNotFoundError, match="run: pip install scikit-learn"):
        eqmodels.sklearn._estimator.__wrapped__()


def test_a_size_is_one_number_or_two(name, pixels):
    square = EquivariantFeatures(name, size=12).fit_transform(pixels)
    np.testing.assert_array_equal(square, EquivariantFeatures(name, size=(12, 12)).fit_transform(pixels))
    with pytest.raises(ValueError, match="size must be"):
        EquivariantFeatures(name, size=0).fit(pixels)
