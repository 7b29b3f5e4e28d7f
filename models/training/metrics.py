"""How right a model is, how well it knows, and below which score it should say nothing."""

from dataclasses import dataclass

import numpy as np

from labels import Attribute
from pictures import NOTHING

RIGHT = 0.97
"""Share of the accepted answers that should be right."""
FEW = 25
"""Fewer answers than these choose no threshold of their own."""


@dataclass
class Answers:
    """What left-out pictures were said to be, by scores and thresholds that were chosen without them."""

    attribute: Attribute
    labels: np.ndarray
    scores: np.ndarray
    source: np.ndarray
    verified: np.ndarray
    accepted: np.ndarray
    """[N]: by a threshold for each class, chosen on the other folds."""
    kept: np.ndarray
    """[N]: by one threshold for all classes, chosen on the other folds."""
    silent: float = float("nan")
    """Of the pictures on which there is nothing to be seen, the share that got no answer, by that one threshold."""

    @property
    def said(self) -> np.ndarray:
        return self.scores.argmax(1)

    @property
    def right(self) -> np.ndarray:
        return self.said == self.labels

    @property
    def near(self) -> np.ndarray:
        """Right, or near it."""
        return near_right(self.said, self.labels, self.attribute)

    def select(self, mask: np.ndarray) -> "Answers":
        """Those for which `mask` is true."""
        parts = (self.labels, self.scores, self.source, self.verified, self.accepted, self.kept)
        return Answers(self.attribute, *(part[mask] for part in parts))


def near_right(said: np.ndarray, labels: np.ndarray, attribute: Attribute) -> np.ndarray:
    """Right, or a class that people, too, take for it."""
    near = {frozenset(pair) for pair in attribute.near}
    names = attribute.classes
    return np.array(
        [a == b or frozenset((names[a], names[b])) in near for a, b in zip(said, labels, strict=True)], bool
    )


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """[N, classes]."""
    scaled = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    return scaled / scaled.sum(1, keepdims=True)


def temperature(logits: np.ndarray, labels: np.ndarray, source: np.ndarray) -> float:
    """The divisor of the logits for which the labels are likeliest; every source has the same say in it."""
    if not len(labels):
        return 1.0
    sizes = {name: (source == name).sum() for name in set(source)}
    weight = np.array([1 / np.sqrt(sizes[name]) for name in source])
    candidates = np.logspace(-0.7, 0.9, 65)
    rows = np.arange(len(labels))
    losses = [-(weight * np.log(softmax(logits, t)[rows, labels] + 1e-9)).sum() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def threshold(scores: np.ndarray, right: np.ndarray, otherwise: float = 0.98) -> float:
    """The lowest score from which on RIGHT of the answers are right, by Laplace's rule: few of them prove little.

    Never one that is less likely than not: of what is no vehicle at all the labels say nothing.
    """
    for t in np.arange(0.5, 0.99, 0.01):
        taken = scores >= t
        if taken.sum() < FEW:
            break
        if (right[taken].sum() + 1) / (taken.sum() + 2) >= RIGHT:
            return round(float(t), 2)
    return otherwise


def thresholds(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """One for all classes, and one for each; a class that is rarely answered has that for all."""
    said, best = scores.argmax(1), scores.max(1)
    for_all = threshold(best, said == labels)
    each = [threshold(best[said == c], (said == labels)[said == c], for_all) for c in range(scores.shape[1])]
    return for_all, np.array(each)


def nested(
    attribute: Attribute,
    logits: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    source: np.ndarray,
    verified: np.ndarray,
) -> Answers:
    """Temperature and thresholds of each fold come from the answers to the others: no figure was chosen by itself."""
    known, nothing = labels >= 0, (logits[labels == NOTHING], fold[labels == NOTHING])
    quiet = np.zeros(len(nothing[1]), bool)
    logits, labels, fold, source, verified = (part[known] for part in (logits, labels, fold, source, verified))
    scores = np.zeros_like(logits)
    accepted, kept = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
    for f in np.unique(fold):
        mine, others = fold == f, fold != f
        t = temperature(logits[others], labels[others], source[others])
        scores[mine] = softmax(logits[mine], t)
        for_all, each = thresholds(softmax(logits[others], t), labels[others])
        best, said = scores[mine].max(1), scores[mine].argmax(1)
        accepted[mine], kept[mine] = best >= each[said], best >= for_all
        quiet[nothing[1] == f] = softmax(nothing[0][nothing[1] == f], t).max(1, initial=0) < for_all
    return Answers(attribute, labels, scores, source, verified, accepted, kept, share(quiet))


def macro_f1(said: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """Mean F1 over the classes that occur in the labels."""
    found = []
    for c in range(classes):
        if (labels == c).any():
            hit = ((said == c) & (labels == c)).sum()
            found.append(2 * hit / max(1, (said == c).sum() + (labels == c).sum()))
    return float(np.mean(found)) if found else 0.0


def calibration_error(scores: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error over equal bins of the score (Naeini et al. 2015)."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    return float(
        sum(
            abs(scores[which == b].mean() - right[which == b].mean()) * (which == b).mean()
            for b in range(bins)
            if (which == b).any()
        )
    )


def share(values: np.ndarray) -> float:
    """Of true values; not a number where there are none."""
    return float(values.mean()) if len(values) else float("nan")


def by_source(answers: Answers, values: np.ndarray, least: int = 1) -> dict[str, float]:
    """The share of true `values` for each source that has at least so many labels."""
    sources = sorted(set(answers.source))
    return {s: share(values[answers.source == s]) for s in sources if (answers.source == s).sum() >= least}
