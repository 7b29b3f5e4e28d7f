"""Vehicles in colours that the data has few of: the paint of red, blue, yellow or green ones, changed.

Only the pixels of that hue change; ground, glass and light stay those of the photograph. White, silver, gray and
black vehicles cannot be painted over: their paint has no hue by which to find it.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

HUES = {"red": (335, 374), "orange": (14, 38), "yellow": (40, 66), "green": (67, 175), "blue": (190, 262)}
"""Degrees within which paint of a colour lies; red goes past 360."""


@dataclass(frozen=True)
class Paint:
    """Ranges to draw from: the hue in degrees, and the middle saturation and lightness of the paint, of 255.

    `contrast` is the power of the light on it: metal shines, white and black are flat.
    """

    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]
    contrast: tuple[float, float] = (1, 1)

    @property
    def plain(self) -> bool:
        """Without a hue worth mentioning."""
        return self.saturation[1] < 40


TARGETS = {
    "red": [Paint((346, 362), (160, 230), (70, 200))],
    "orange": [Paint((13, 29), (180, 240), (150, 235))],
    "yellow": [Paint((43, 57), (120, 235), (160, 240))],
    # Limes as well as teals, which nearly no source has.
    "green": [Paint((66, 78), (150, 235), (120, 225)), Paint((80, 172), (90, 200), (30, 170))],
    "blue": [Paint((205, 240), (90, 220), (32, 190))],
    "brown": [Paint((12, 32), (80, 150), (60, 115))],
    "beige": [Paint((32, 46), (40, 75), (150, 215))],
    "purple": [Paint((265, 300), (100, 200), (55, 170))],
    "white": [Paint((30, 240), (0, 14), (205, 245), (0.5, 0.8))],
    "silver": [Paint((30, 240), (0, 16), (140, 190), (0.8, 1.3))],
    "gray": [Paint((30, 240), (0, 22), (70, 120), (0.8, 1.2))],
    "black": [Paint((30, 240), (0, 30), (16, 42), (0.7, 1.2))],
}
"""Each class, in one paint or another."""
SATURATED, LIT = 70, 25
"""Below these, of 255, a pixel has no hue to go by."""
SHARES = (0.06, 0.6)
"""Of a picture that is paint; else it is a detail, or the ground has the same hue."""
AKIN, SPOTTY = 14, 0.06
"""Degrees beyond a hue in which paint may shine, and how much of that may be left over."""


def repaint(pixels: np.ndarray, color: str, target: str, rng: np.random.Generator) -> np.ndarray | None:
    """The vehicle of `color` in `target`, or None where its paint cannot be told from the rest."""
    hsv = np.asarray(Image.fromarray(pixels).convert("HSV")).astype(np.float32)
    low, high = HUES[color]
    hue = hsv[..., 0] * 360 / 256
    hue = np.where(hue < low - 180, hue + 360, hue)
    paint = (hue >= low) & (hue <= high) & (hsv[..., 1] >= SATURATED) & (hsv[..., 2] >= LIT)
    # The rims of the paint have less of the hue, and what shines on it shifts it.
    akin = (hue >= low - AKIN) & (hue <= high + AKIN)
    paint |= around(paint, 3) & akin & (hsv[..., 1] >= SATURATED / 3)
    left = around(paint, 9) & ~paint & (hue >= low - 2 * AKIN) & (hue <= high + 2 * AKIN) & (hsv[..., 1] >= SATURATED)
    if not SHARES[0] <= paint.mean() <= SHARES[1] or left.sum() > SPOTTY * paint.sum():
        return None
    chosen = TARGETS[target][rng.integers(len(TARGETS[target]))]
    middle, saturation, value = (np.median(plane[paint]) for plane in (hue, hsv[..., 1], hsv[..., 2]))
    wanted = rng.uniform(*chosen.hue) + (hue - middle) * 0.3
    stronger = min(3, rng.uniform(*chosen.saturation) / saturation)
    lit = rng.uniform(*chosen.value) * (hsv[..., 2] / value) ** rng.uniform(*chosen.contrast)
    if not chosen.plain:
        lit = np.minimum(lit, 3 * hsv[..., 2])
    changed = np.stack([np.mod(wanted, 360) * 256 / 360, hsv[..., 1] * stronger, lit], 2)
    result = np.where(paint[..., None], np.clip(changed, 0, 255), hsv)
    return np.asarray(Image.fromarray(result.astype(np.uint8), "HSV").convert("RGB"))


def around(mask: np.ndarray, reach: int) -> np.ndarray:
    """What is no further from `mask` than so many pixels."""
    return np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(2 * reach + 1))) > 0
