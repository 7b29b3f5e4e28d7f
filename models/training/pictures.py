"""Labelled pictures as the models see them: uint8 RGB, stretched to the input size."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

SIZE = 224
IMAGE_TYPES = ["Dealer", "Stock", "Placeholder"]
COLORS = [
    "black", "white", "gray", "silver", "blue", "red",
    "green", "yellow", "orange", "brown", "beige", "purple",
]
UNKNOWN = -1
"""The label of a picture about which nobody said anything."""


@dataclass
class Pictures:
    """Pictures [N, SIZE, SIZE, 3], their labels [N] (UNKNOWN where there is none), and where they come from."""

    pixels: np.ndarray
    image_type: np.ndarray
    color: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.source)

    def select(self, mask: np.ndarray) -> "Pictures":
        """Those for which `mask` is true."""
        return Pictures(self.pixels[mask], self.image_type[mask], self.color[mask], self.source[mask])


def stretch(image: Image.Image) -> np.ndarray:
    """Upright, on white, stretched with antialiasing: what `tagfleet-worker` does to a picture."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(image)


def load(data: Path, source: str | None = None) -> Pictures:
    """Reads `labels.csv` in `data`: columns path, image_type, color, and source unless one is given."""
    with open(data / "labels.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["image_type"] or row["color"]]
    pixels = np.empty((len(rows), SIZE, SIZE, 3), np.uint8)
    for i, row in enumerate(tqdm(rows, desc=f"reading {data.name}", leave=False)):
        with Image.open(data / row["path"]) as image:
            pixels[i] = stretch(image)
    label = lambda names, value: names.index(value) if value in names else UNKNOWN
    return Pictures(
        pixels,
        np.array([label(IMAGE_TYPES, row["image_type"]) for row in rows]),
        np.array([label(COLORS, row["color"]) for row in rows]),
        np.array([source or row["source"] for row in rows]),
    )


def join(*parts: Pictures) -> Pictures:
    """All of them, one after the other."""
    fields = ("pixels", "image_type", "color", "source")
    return Pictures(*(np.concatenate([getattr(part, field) for part in parts]) for field in fields))
