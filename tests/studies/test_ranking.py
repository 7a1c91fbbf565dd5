"""Tasks ranked by their synergy after a brief pretraining."""

import pytest

from eqmodels.data import load_data
from eqmodels.studies import rank_tasks


@pytest.fixture(scope="module")
def images():
    train, test = (load_data("fashion_mnist_mini", split) for split in ("train", "test"))
    return train.balanced_subset(100), test.balanced_subset(100)


def test_tasks_are_in_falling_order_and_what_cannot_be_asked_says_why(images):
    ranks, impossible = rank_tasks(
        *images, ["vertical_flip", "rotation", "grayscale"], model="c1_resnet18s_w4", batch_size=50, folds=2
    )
    assert {rank.task for rank in ranks} == {"vertical_flip", "rotation"}
    assert ranks[0].score >= ranks[1].score
    for rank in ranks:
        assert rank.score == rank.terms.normalised("unlocked")
        assert rank.terms.rows == 100 * rank.terms.num_labels
    assert list(impossible) == ["grayscale"]
    assert "needs images of 3 channels" in impossible["grayscale"]


def test_the_same_seed_gives_the_same_ranks(images):
    one, other = (
        rank_tasks(*images, ["vertical_flip"], model="c1_resnet18s_w4", batch_size=50, folds=2)[0] for _ in range(2)
    )
    assert one == other


def test_no_possible_task_is_one_sentence(images):
    with pytest.raises(ValueError, match="none of the tasks can be asked of fashion_mnist_mini"):
        rank_tasks(*images, ["grayscale"], model="c1_resnet18s_w4", batch_size=50, folds=2)
