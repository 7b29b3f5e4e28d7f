"""Training: heads first, then everything; and what came of it."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from augment import augment
from network import Tagger
from pictures import COLORS, IMAGE_TYPES, UNKNOWN, Pictures

BATCH = 64


def loss_of(model: Tagger, features: torch.Tensor, image_type: torch.Tensor, color: torch.Tensor,
            weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross entropy of both attributes over what is labelled; rare classes weigh more."""
    of_type, of_color = model.heads(features)
    options = {"ignore_index": UNKNOWN, "label_smoothing": 0.05}
    parts = [
        F.cross_entropy(of_type, image_type, weights["image_type"], **options),
        F.cross_entropy(of_color, color, weights["color"], **options),
    ]
    # A batch without a single label of an attribute has nothing to say of it.
    return sum(part for part in parts if not part.isnan())


def class_weights(labels: np.ndarray, classes: int) -> torch.Tensor:
    """Inverse square root of the frequency, 1 on average over the pictures."""
    counts = np.bincount(labels[labels != UNKNOWN], minlength=classes).clip(1)
    weights = counts ** -0.5
    return torch.tensor(weights / (weights * counts).sum() * counts.sum(), dtype=torch.float32)


def batches(count: int, rng: torch.Generator) -> Iterator[torch.Tensor]:
    """Every index once, in random order."""
    yield from torch.randperm(count, generator=rng).split(BATCH)


def fit(model: Tagger, pictures: Pictures, epochs: int, rate: float, rng: torch.Generator, note: str) -> None:
    """Trains the heads on the trunk's features, then all layers on varied pictures."""
    labels = [torch.tensor(pictures.image_type), torch.tensor(pictures.color)]
    weights = {
        "image_type": class_weights(pictures.image_type, len(IMAGE_TYPES)),
        "color": class_weights(pictures.color, len(COLORS)),
    }
    features = features_of(model, pictures)
    heads = [*model.image_type.parameters(), *model.color.parameters()]
    optimizer = torch.optim.AdamW(heads, lr=3e-3, weight_decay=1e-3)
    model.train()
    for _ in range(20):
        for batch in batches(len(pictures), rng):
            optimizer.zero_grad()
            loss_of(model, features[batch], labels[0][batch], labels[1][batch], weights).backward()
            optimizer.step()

    optimizer = torch.optim.AdamW([
        {"params": model.trunk.parameters(), "lr": rate},
        {"params": heads, "lr": 3 * rate},
    ], weight_decay=1e-3)
    steps = epochs * -(-len(pictures) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=[rate, 3 * rate], total_steps=steps, pct_start=0.15)
    pixels = torch.from_numpy(pictures.pixels)
    with tqdm(total=steps, desc=note) as bar:
        for _ in range(epochs):
            for batch in batches(len(pictures), rng):
                x = augment(pixels[batch], labels[0][batch], rng)
                optimizer.zero_grad()
                loss = loss_of(model, model.features(x), labels[0][batch], labels[1][batch], weights)
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
                bar.set_postfix(loss=f"{loss.item():.3f}")
    model.eval()


@torch.no_grad()
def features_of(model: Tagger, pictures: Pictures) -> torch.Tensor:
    """[N, features], without variation."""
    model.eval()
    return torch.cat([model.features(torch.from_numpy(part)) for part in np.array_split(pictures.pixels, max(1, len(pictures) // BATCH))])


@torch.no_grad()
def logits_of(model: Tagger, pictures: Pictures) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of both attributes."""
    return model.heads(features_of(model, pictures))


def temperature(logits: torch.Tensor, labels: np.ndarray) -> float:
    """The divisor of the logits for which the labels are likeliest."""
    known = torch.tensor(labels != UNKNOWN)
    if not known.any():
        return 1.0
    target = torch.tensor(labels)[known]
    candidates = torch.logspace(-0.7, 0.7, 60)
    losses = [F.cross_entropy(logits[known] / t, target).item() for t in candidates]
    return float(candidates[int(np.argmin(losses))])
