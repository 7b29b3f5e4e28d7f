"""Vehicles in colours that the data has few of: the paint of red, blue, yellow or green ones, changed.

Only the pixels of that hue change; ground, glass and light stay those of the photograph. White, silver and black
cannot be painted this way: their paint has no hue by which to find it.
"""

import numpy as np
from PIL import Image

HUES = {"red": (335, 374), "orange": (14, 38), "yellow": (40, 66), "green": (75, 175), "blue": (190, 262)}
"""Degrees within which paint of a colour lies; red goes past 360."""
TARGETS = {
    "red": ((350, 365), (160, 230), (90, 200)),
    "orange": ((17, 28), (190, 240), (170, 235)),
    "yellow": ((47, 57), (160, 230), (180, 240)),
    "green": ((80, 165), (90, 200), (55, 170)),
    "blue": ((205, 240), (120, 220), (60, 180)),
    "brown": ((12, 32), (80, 150), (45, 100)),
    "beige": ((32, 46), (40, 75), (150, 215)),
    "purple": ((265, 300), (100, 200), (55, 170)),
}
"""Hue in degrees, and what the middle saturation and lightness of the paint become, of 255."""
SATURATED, LIT = 70, 25
"""Below these, of 255, a pixel has no hue to go by."""
SHARES = (0.06, 0.6)
"""Of a picture that is paint; else it is a detail, or the ground has the same hue."""


def repaint(pixels: np.ndarray, color: str, target: str, rng: np.random.Generator) -> np.ndarray | None:
    """The vehicle of `color` in `target`, or None where its paint cannot be told from the rest."""
    hsv = np.asarray(Image.fromarray(pixels).convert("HSV")).astype(np.float32)
    low, high = HUES[color]
    hue = hsv[..., 0] * 360 / 256
    hue = np.where(hue < low - 180, hue + 360, hue)
    paint = (hue >= low) & (hue <= high) & (hsv[..., 1] >= SATURATED) & (hsv[..., 2] >= LIT)
    if not SHARES[0] <= paint.mean() <= SHARES[1]:
        return None
    hues, saturation, value = TARGETS[target]
    middle = np.median(hue[paint])
    wanted = rng.uniform(*hues) + (hue - middle) * 0.3
    factors = [min(3, rng.uniform(*r) / np.median(hsv[..., k][paint])) for k, r in ((1, saturation), (2, value))]
    changed = np.stack([np.mod(wanted, 360) * 256 / 360, hsv[..., 1] * factors[0], hsv[..., 2] * factors[1]], 2)
    result = np.where(paint[..., None], np.clip(changed, 0, 255), hsv)
    return np.asarray(Image.fromarray(result.astype(np.uint8), "HSV").convert("RGB"))
