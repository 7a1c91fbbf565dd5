"""What a network sees of transformed images, as `Observations` for the measures of information."""

from __future__ import annotations

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.data import Source
from eqmodels.evaluation.task_scores import ALL_LABELS
from eqmodels.measures import Observations
from eqmodels.tasks import MultivariateTask, Task
from eqmodels.training import Run
from eqmodels.training.randomness import Purpose, generator_for

__all__ = ["observe"]

COPIES = 4
"""Of a task with many labels, every image is transformed by so many random ones; else by each of them."""
BATCH = 100


@torch.no_grad()
def observe(
    run: Run,
    data: Source,
    *,
    task: Task | None = None,
    classifier: Run | None = None,
    seed: int = 0,
) -> Observations:
    """Regular features of transformed images, with what was done to them and what they show.

    Args:
        run: the network.
        data: images that it was not trained on, with its channels; not augmented.
        task: what is done to the images; None for the task of the network.
        classifier: a network with a class head, trained on other images transformed by the same task; None for none.
        seed: of labels and of what else is random in the task.

    Raises:
        ValueError: if the task is several at once or has one label only, the images do not suit it, or the classifier
            has no class head.
    """
    task = run.task if task is None else task
    _check(task, classifier)
    repeats = task.num_labels if task.num_labels <= ALL_LABELS else COPIES
    features: list[Tensor] = []
    labels: list[Tensor] = []
    predicted: list[Tensor] = []
    for repeat in range(repeats):
        for batch, start in enumerate(range(0, len(data), BATCH)):
            images = data.pixels(slice(start, start + BATCH))
            drawn = task.sample(len(images), generator_for(seed, Purpose.LABELS, batch, repeat))
            label = torch.full_like(drawn, repeat) if repeats == task.num_labels else drawn
            images = task.apply(images, label, generator_for(seed, Purpose.NUISANCE, batch, repeat))
            features.append(run.model.eval().features(_normalised(run, images)).float().cpu())
            labels.append(label)
            if classifier is not None:
                logits = classifier.model.eval()(_normalised(classifier, images))[-1]
                predicted.append(logits.argmax(1).cpu())
    return Observations(
        features=torch.cat(features),
        labels=torch.cat(labels),
        classes=data.labels.repeat(repeats),
        images=torch.arange(len(data)).repeat(repeats),
        num_labels=task.num_labels,
        num_classes=len(data.classes),
        predicted=torch.cat(predicted) if predicted else None,
    )


def _normalised(run: Run, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    device = next(run.model.parameters()).device
    return run.preprocessing.normalise(images.to(device)).contiguous(memory_format=torch.channels_last)


def _check(task: Task, classifier: Run | None) -> None:
    if isinstance(task, MultivariateTask):
        raise ValueError(f"observations are of one task at a time; got {task.name}. Choose one of its parts.")
    if task.num_labels < 2:
        raise ValueError(
            f"a task of one label has nothing to tell; got {task.name}. Choose another task, see list_tasks()."
        )
    if classifier is not None and classifier.model.class_information is None:
        raise ValueError(
            f"classifier must have a class head; {classifier.config.model} was pretrained without. Pretrain it with "
            "class_weight=1."
        )
