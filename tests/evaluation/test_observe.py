"""What a network sees of transformed images."""

import pytest
import torch

from eqmodels.data import LabelledImages, load_data
from eqmodels.evaluation import observe
from eqmodels.tasks import create_task
from eqmodels.training import PretrainConfig, untrained

DATA = load_data("fashion_mnist_mini", "test").balanced_subset(30)


def network(**values):
    config = PretrainConfig.of(**{"model": "c4_resnet18s_w4", "head": "mlp", "batch_size": 10, **values})
    return untrained(config, DATA)


def test_every_label_of_a_small_task_is_seen_on_every_image():
    run = network(task="rotation")
    seen = observe(run, DATA)
    assert seen.features.shape == (120, 32)
    for label in range(4):
        rows = seen.labels == label
        assert torch.equal(seen.images[rows], torch.arange(30))
        assert torch.equal(seen.classes[rows], DATA.labels)
        turned = torch.rot90(DATA.pixels(), label, (2, 3))
        expected = run.encoder("regular")(run.preprocessing.normalise(turned))
        torch.testing.assert_close(seen.features[rows], expected, atol=1e-5, rtol=0)
    assert seen.predicted is None


def test_of_a_task_of_many_labels_some_random_ones_are_seen():
    seen = observe(network(task="jigsaw"), DATA)
    assert seen.features.shape == (120, 32)
    assert len(seen.labels.unique()) > 15
    assert torch.equal(seen.images.bincount(), torch.full((30,), 4))
    assert torch.equal(observe(network(task="jigsaw"), DATA).features, seen.features)


def test_another_task_than_the_networks_may_be_asked():
    seen = observe(network(task="rotation"), DATA, task=create_task("vertical_flip"))
    assert seen.num_labels == 2
    assert len(seen.labels) == 60


def test_the_classifier_sees_the_same_transformed_images():
    run = network(task="rotation")
    classifier = network(task="rotation", class_weight=1.0, class_hidden=8, seed=7)
    seen = observe(run, DATA, classifier=classifier)
    assert seen.predicted is not None
    for label in range(4):
        turned = torch.rot90(DATA.pixels(), label, (2, 3))
        with torch.no_grad():
            logits = classifier.class_information(
                classifier.encoder("regular")(classifier.preprocessing.normalise(turned))
            )
        assert torch.equal(seen.predicted[seen.labels == label], logits.argmax(1))


def test_bad_input_is_one_sentence():
    with pytest.raises(ValueError, match="one task at a time; got rotation"):
        observe(network(task="rotation+jigsaw"), DATA)
    with pytest.raises(ValueError, match="a task of one label has nothing to tell; got none"):
        observe(network(task="none"), DATA)
    with pytest.raises(ValueError, match="classifier must have a class head; c4_resnet18s_w4 was pretrained without"):
        observe(network(task="rotation"), DATA, classifier=network(task="rotation"))


@pytest.mark.parametrize(
    ("labels", "classes", "sentence"),
    [
        ([-1] * 6, (), r"whose classes are known; some has none\. Sort its images into one folder a class\.$"),
        ([0] * 6, ("ant",), r"at least two classes; all images of some are of 'ant'\. Add another class\.$"),
        ([0, 0, 0, 1, 1, 2], ("ant", "bee", "cow"), r"of the 6 of some 1 are of 'cow'\. Add images, ask for more"),
        ([0, 0, 0, 1, 1, 1], ("ant", "bee", "cow"), r"of the 6 of some 0 are of 'cow'"),
    ],
    ids=["none", "one", "one image", "empty"],
)
def test_classes_that_tell_nothing_are_refused(labels, classes, sentence):
    images = LabelledImages("some", DATA.images[:6], torch.tensor(labels), classes)
    with pytest.raises(ValueError, match=sentence):
        observe(network(task="rotation"), images)


def test_an_initialisation_needs_no_more_images_than_there_are():
    run = untrained(PretrainConfig.of(model="c4_resnet18s_w4", batch_size=100), DATA)
    assert run.config.optimisation.batch_size == 100
