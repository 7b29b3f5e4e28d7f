"""Labelled pictures as the models see them: uint8 RGB, stretched to a square."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from labels import CONFIDENCE, Attribute, Row

KEPT = 256
"""Side of the pictures in memory: more than a model sees, so that a cut-out of one is still sharp."""
UNKNOWN, NOTHING = -1, -2
"""Labels of a picture of which nobody said anything, and of one on which there is nothing to be seen."""


ASSUMED = 0.4
"""How much a label counts that only a rule gave."""


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


def upright(image: Image.Image) -> Image.Image:
    """Turned as EXIF says, transparent parts white: what `tagfleet-worker` does before it stretches a picture."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def stretch(image: Image.Image, size: int) -> np.ndarray:
    """With antialiasing and without regard to the shape, as the worker does it."""
    return np.asarray(upright(image).resize((size, size), Image.Resampling.BILINEAR))


def decode(rows: list[Row], size: int, cache: Path | None) -> np.ndarray:
    """[N, size, size, 3]. Kept as a file in `cache`, which spares a second run the decoding."""
    key = hashlib.sha256(repr([(str(row.path), row.path.stat().st_size, size) for row in rows]).encode()).hexdigest()[
        :16
    ]
    file = cache / f"pictures-{key}.npy" if cache else None
    if file and file.is_file():
        return np.load(file)
    pixels = np.empty((len(rows), size, size, 3), np.uint8)
    for i, row in enumerate(tqdm(rows, desc="reading", leave=False)):
        with Image.open(row.path) as image:
            pixels[i] = stretch(image, size)
    if file:
        cache.mkdir(parents=True, exist_ok=True)
        np.save(file, pixels)
    return pixels


def load(rows: list[Row], attributes: list[Attribute], cache: Path | None = None, worth: float = 1.0) -> Pictures:
    """Decodes the pictures of `rows`, each of which counts `worth`."""
    labels, taught, weight = {}, {}, {}
    for a in attributes:
        labels[a.name] = np.array([number(row.labels, a) for row in rows])
        guesses = np.array([number(row.assumed, a) for row in rows])
        sure = np.array([worth * CONFIDENCE[row.confidence] for row in rows], np.float32)
        said = labels[a.name] != UNKNOWN
        taught[a.name] = np.where(said, labels[a.name], guesses)
        weight[a.name] = np.where(said, sure, ASSUMED * sure).astype(np.float32)
    return Pictures(
        decode(rows, KEPT, cache),
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
