"""Training: heads first, then all layers, small pictures first, then those of the size that is served."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from augment import standing, vary
from labels import Attribute
from network import Tagger
from pictures import NOTHING, UNKNOWN, Pictures

BATCH = 64
KEEP = 0.98
"""Of the running mean of the weights, a step. What is kept is that mean: it is steadier than the last step."""


@dataclass(frozen=True)
class Configuration:
    """A way to train. `epochs`: heads only, all layers on small pictures, all layers on those of `size`."""

    name: str
    size: int = 224
    small: int = 160
    epochs: tuple[int, int, int] = (2, 12, 3)
    rate: float = 8e-4
    drawn: int = 600


class Lesson:
    """What there is to learn: pictures, and for each attribute the wanted shares and how much they count."""

    def __init__(self, pictures: Pictures, attributes: list[Attribute]) -> None:
        self.pictures = pictures
        self.boxes = [standing(pixels) for pixels in pictures.pixels]
        self.targets = [torch.tensor(wanted(pictures, a)) for a in attributes]
        self.weights = [torch.tensor(importance(pictures, a)) for a in attributes]
        types = pictures.taught.get("image_type")
        placeholder = next((a.classes.index("Placeholder") for a in attributes if a.name == "image_type"), None)
        self.often = np.clip(
            np.maximum.reduce([pictures.weight[a.name] * (pictures.taught[a.name] != UNKNOWN) for a in attributes]),
            0,
            1,
        )
        self.photo = np.ones(len(pictures), bool) if types is None else types != placeholder

    def batch(self, chosen: np.ndarray, size: int, rng: np.random.Generator) -> torch.Tensor:
        """Varied pictures, uint8 [N, size, size, 3]."""
        varied = [vary(self.pictures.pixels[i], self.boxes[i], bool(self.photo[i]), size, rng) for i in chosen]
        return torch.from_numpy(np.stack(varied))


def wanted(pictures: Pictures, attribute: Attribute) -> np.ndarray:
    """[N, classes]: nearly all for the label, a little for those near it; even where there is nothing to be seen.

    Even shares make a score that no threshold accepts: so the answer there is null.
    """
    labels, n = pictures.taught[attribute.name], len(attribute.classes)
    near = np.eye(n) * 0
    for a, b in attribute.near:
        i, j = attribute.classes.index(a), attribute.classes.index(b)
        near[i, j] = near[j, i] = 1
    smooth = np.full((n, n), 0.03 / n) + np.eye(n) * 0.97
    for i in np.flatnonzero(near.any(1)):
        smooth[i] = 0.95 * smooth[i] + 0.05 * near[i] / near[i].sum()
    shares = np.full((len(labels), n), 1 / n, np.float32)
    shares[labels >= 0] = smooth[labels[labels >= 0]]
    return shares.astype(np.float32)


def importance(pictures: Pictures, attribute: Attribute) -> np.ndarray:
    """[N]: none without a label, more for rare classes by the root of their rarity."""
    labels = pictures.taught[attribute.name]
    counts = np.maximum(1, np.bincount(labels[labels >= 0], minlength=len(attribute.classes)))
    by_class = np.clip(np.sqrt(counts.mean() / counts), 0.5, 3)
    weights = np.ones(len(labels), np.float32)
    weights[labels >= 0] *= by_class[labels[labels >= 0]]
    weights[labels == NOTHING] *= 0.3
    weights[labels == UNKNOWN] = 0
    return weights


def loss_of(logits: tuple[torch.Tensor, ...], lesson: Lesson, chosen: torch.Tensor) -> torch.Tensor:
    """Cross entropy of all attributes, each by what is known of the batch."""
    parts = []
    for said, targets, weights in zip(logits, lesson.targets, lesson.weights, strict=True):
        losses = -(targets[chosen].to(said.device) * F.log_softmax(said, 1)).sum(1)
        parts.append((losses * weights[chosen].to(said.device)).sum() / len(chosen))
    return sum(parts)


def steps(lesson: Lesson, plan: Configuration, rng: np.random.Generator) -> Iterator[tuple[int, int, np.ndarray]]:
    """Phase, size and pictures of each step.

    In an epoch a picture is seen once, or with the chance that is its weight: what counts little costs little.
    """
    for phase, (epochs, size) in enumerate(zip(plan.epochs, (plan.small, plan.small, plan.size), strict=True)):
        for _ in range(epochs):
            order = rng.permutation(np.flatnonzero(rng.random(len(lesson.often)) < lesson.often))
            for part in np.array_split(order, max(1, len(order) // BATCH)):
                yield phase, size, part


def fit(model: Tagger, lesson: Lesson, plan: Configuration, seed: int, note: str) -> Tagger:
    """Trains `model`; returns the running mean of what it was."""
    rng = np.random.default_rng(seed)
    device = next(model.parameters()).device
    heads = [p for name, p in model.named_parameters() if not name.startswith("trunk.")]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.trunk.parameters()), "lr": plan.rate},
            {"params": heads, "lr": 3 * plan.rate},
        ],
        weight_decay=1e-3,
    )
    # Dealt out beforehand, so that the rate falls to its end exactly at the end.
    dealt = list(steps(lesson, plan, rng))
    first, total = sum(phase == 0 for phase, _, _ in dealt), len(dealt)
    later = lambda k: pace(k - first, total - first)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, [later, lambda k: 1.0 if k < first else later(k)])
    mean = copy.deepcopy(model)
    model.train()
    with tqdm(total=total, desc=note, mininterval=10) as bar:
        for phase, size, chosen in dealt:
            for parameter in model.trunk.parameters():
                parameter.requires_grad_(phase > 0)
            optimizer.zero_grad()
            loss = loss_of(model(lesson.batch(chosen, size, rng).to(device)), lesson, torch.from_numpy(chosen))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            done = bar.n + 1
            average(mean, model, min(KEEP, done / (done + 10)))
            bar.update()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return mean.eval()


def pace(step: int, total: int) -> float:
    """Of the learning rate: a quick rise, then half a cosine down to a fiftieth."""
    if step < 0:
        return 0.0
    rise = max(1, total // 12)
    if step < rise:
        return (step + 1) / rise
    return 0.02 + 0.49 * (1 + np.cos(np.pi * (step - rise) / max(1, total - rise)))


@torch.no_grad()
def average(mean: Tagger, model: Tagger, keep: float) -> None:
    """Moves `mean` a little towards `model`."""
    for kept, new in zip(mean.parameters(), model.parameters(), strict=True):
        kept.lerp_(new, 1 - keep)


@torch.no_grad()
def logits_of(model: Tagger, pixels: np.ndarray) -> list[np.ndarray]:
    """Logits of all attributes, of pictures as the worker gives them: uint8 [N, size, size, 3]."""
    model.eval()
    device = next(model.parameters()).device
    found = []
    for part in np.array_split(pixels, max(1, len(pixels) // BATCH)):
        found.append([x.cpu().numpy() for x in model(torch.from_numpy(part).to(device))])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]
