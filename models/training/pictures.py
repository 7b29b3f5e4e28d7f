"""Labelled pictures as the models see them: uint8 RGB, stretched to a square."""

from dataclasses import dataclass

import numpy as np

from decoder import Decoder
from labels import CONFIDENCE, Attribute, Row

KEPT = 256
"""Side of the pictures in memory: more than a model sees, so that a cut-out of one is still sharp."""
UNKNOWN, NOTHING = -1, -2
"""Labels of a picture of which nobody said anything, and of one on which there is nothing to be seen."""
ASSUMED, ADDED = 0.4, 0.8
"""How much a label counts that only a rule gave, and one that was added later."""


@dataclass
class Pictures:
    """Pictures [N, KEPT, KEPT, 3] and, for each attribute, their labels [N].

    `taught` has the labels to train on, `weight` how much each counts; `labels` has those to measure by.
    """

    pixels: np.ndarray
    labels: dict[str, np.ndarray]
    taught: dict[str, np.ndarray]
    weight: dict[str, np.ndarray]
    source: np.ndarray
    verified: np.ndarray

    def __len__(self) -> int:
        return len(self.source)

    def select(self, mask: np.ndarray) -> "Pictures":
        """Those for which `mask` is true."""
        parts = [
            {name: values[mask] for name, values in part.items()} for part in (self.labels, self.taught, self.weight)
        ]
        return Pictures(self.pixels[mask], *parts, self.source[mask], self.verified[mask])


def load(rows: list[Row], attributes: list[Attribute], decoder: Decoder, worth: float = 1.0) -> Pictures:
    """Decodes the pictures of `rows`, each of which counts `worth`."""
    labels, taught, weight = {}, {}, {}
    for a in attributes:
        labels[a.name] = np.array([number(row.labels, a) for row in rows])
        added = np.array([number(row.added, a) for row in rows])
        guesses = np.array([number(row.assumed, a) for row in rows])
        sure = np.array([CONFIDENCE[row.confidence] for row in rows])
        said = [labels[a.name] != UNKNOWN, added != UNKNOWN]
        taught[a.name] = np.select(said, [labels[a.name], added], guesses)
        # How sure a row is was said of the labels that it came with.
        weight[a.name] = (worth * np.select(said, [sure, ADDED], ASSUMED * sure)).astype(np.float32)
    return Pictures(
        decoder.decode([row.path for row in rows], KEPT),
        labels,
        taught,
        weight,
        np.array([row.source for row in rows]),
        np.array([row.confidence in ("verified", "") for row in rows]),
    )


def number(labels: dict[str, str | None], attribute: Attribute) -> int:
    """The place of the label among the classes, UNKNOWN or NOTHING."""
    if attribute.name not in labels:
        return UNKNOWN
    value = labels[attribute.name]
    return NOTHING if value is None else attribute.classes.index(value)


def made(pixels: list[np.ndarray], labels: dict[str, int], source: str, weight: float = 1.0) -> Pictures:
    """Drawn pictures, all with the same labels."""
    n = len(pixels)
    taught = {name: np.full(n, value) for name, value in labels.items()}
    return Pictures(
        np.array(pixels, np.uint8).reshape(n, KEPT, KEPT, 3),
        {name: v.copy() for name, v in taught.items()},
        taught,
        {name: np.full(n, weight, np.float32) for name in labels},
        np.full(n, source),
        np.ones(n, bool),
    )


def join(*parts: Pictures) -> Pictures:
    """All of them, one after the other."""

    def all_of(field: str) -> dict[str, np.ndarray]:
        return {name: np.concatenate([getattr(part, field)[name] for part in parts]) for name in parts[0].labels}

    return Pictures(
        np.concatenate([part.pixels for part in parts]),
        all_of("labels"),
        all_of("taught"),
        all_of("weight"),
        np.concatenate([part.source for part in parts]),
        np.concatenate([part.verified for part in parts]),
    )
