"""How right a model is, and how well it knows."""

import numpy as np
import torch

from pictures import COLORS, UNKNOWN

NEAR = {frozenset(pair) for pair in (("gray", "silver"), ("gray", "black"))}
"""Colours that people, too, tell apart by taste."""


def macro_f1(said: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """Mean F1 over the classes that occur in the labels."""
    scores = []
    for c in range(classes):
        if (labels == c).any():
            hit = ((said == c) & (labels == c)).sum()
            scores.append(2 * hit / max(1, (said == c).sum() + (labels == c).sum()))
    return float(np.mean(scores))


def calibration_error(scores: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error over equal bins of the score (Naeini et al. 2015)."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    return float(sum(
        abs(scores[which == b].mean() - right[which == b].mean()) * (which == b).mean()
        for b in range(bins) if (which == b).any()))


def threshold(scores: np.ndarray, right: np.ndarray, wanted: float) -> float:
    """The lowest score above which a share of `wanted` answers is right."""
    for t in np.arange(0.2, 0.96, 0.01):
        if (scores >= t).sum() < 20:
            break
        if right[scores >= t].mean() >= wanted:
            return round(float(t), 2)
    return 0.95


def table(logits: torch.Tensor, labels: np.ndarray, names: list[str]) -> list[str]:
    """A confusion matrix in Markdown: rows are labels, columns answers."""
    known = labels != UNKNOWN
    said = logits.argmax(1).numpy()[known]
    lines = ["| | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for c, name in enumerate(names):
        row = [int(((labels[known] == c) & (said == s)).sum()) for s in range(len(names))]
        if sum(row):
            lines.append(f"| **{name}** | " + " | ".join(map(str, row)) + " |")
    return lines


def by_source(logits: tuple[torch.Tensor, torch.Tensor], image_type: np.ndarray, color: np.ndarray,
              source: np.ndarray) -> list[str]:
    """Markdown rows: for each source how many answers are right."""
    lines = ["| left-out source | image_type right | of | color right | near misses counted | of |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    said = [part.argmax(1).numpy() for part in logits]
    for name in sorted(set(source)):
        a, b = (source == name) & (image_type != UNKNOWN), (source == name) & (color != UNKNOWN)
        types = f"{(said[0][a] == image_type[a]).mean():.3f}" if a.any() else "-"
        colors = f"{(said[1][b] == color[b]).mean():.3f}" if b.any() else "-"
        near = f"{near_right(said[1][b], color[b]).mean():.3f}" if b.any() else "-"
        lines.append(f"| {name} | {types} | {a.sum()} | {colors} | {near} | {b.sum()} |")
    return lines


def near_right(said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Right, or gray for silver or black and the other way round."""
    pairs = zip(said, labels, strict=True)
    return np.array([s == l or frozenset((COLORS[s], COLORS[l])) in NEAR for s, l in pairs], bool)


def majority(labels: np.ndarray, names: list[str]) -> tuple[str, float]:
    """The commonest class, and how often it is right."""
    counts = np.bincount(labels[labels != UNKNOWN], minlength=len(names))
    return names[int(counts.argmax())], float(counts.max() / counts.sum())


