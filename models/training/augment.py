"""Variations of pictures that keep their labels: what cameras, dealers and scrapers do to them.

Never a change of hue, and little of light: the colour is a label.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lettering import BANNERS, line

WHITE = 240
"""What counts as a white ground, of 255."""


def standing(pixels: np.ndarray) -> tuple[float, float, float, float] | None:
    """Where the thing is that stands free on white, as shares of the sides; None for any other picture."""
    dark = pixels.min(2) < WHITE
    corners = np.concatenate([dark[:6, :6], dark[:6, -6:], dark[-6:, :6], dark[-6:, -6:]])
    if corners.mean() > 0.25 or not dark.any():
        return None
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    height, width = dark.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height


def vary(
    pixels: np.ndarray, box: tuple[float, float, float, float] | None, photo: bool, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Varies one picture [side, side, 3] and makes it [size, size, 3].

    `box` is that of a thing on white (`standing`), which is framed anew, tightly or in much white.
    `photo` allows what happens to photographs only: cut-outs, bars, banners, a phone held askew.
    """
    image = Image.fromarray(pixels)
    if box and rng.random() < 0.85:
        image = reframe(image, box, size, rng)
    else:
        image = cut(image, size, rng, 0.35 if photo else 0.7)
    if photo and rng.random() < 0.04:
        image = image.transpose(
            rng.choice([Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
        )
    elif photo and not box and rng.random() < 0.12:
        image = tilt(image, size, rng)
    if box and photo and rng.random() < 0.25:
        image = studio(image, size, rng)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = light(image, rng, gentle=box is not None)
    if photo and rng.random() < 0.08:
        image = bars(image, size, rng)
    if photo and rng.random() < (0.05 if box else 0.15):
        banner(image, size, rng)
    return worn(image, size, rng)


def cut(image: Image.Image, size: int, rng: np.random.Generator, least: float) -> Image.Image:
    """A part of the picture, at least a share `least` of it; one time in five the whole."""
    side = image.width
    if rng.random() < 0.2:
        return image.resize((size, size), Image.Resampling.BILINEAR)
    area, ratio = rng.uniform(least, 1), np.exp(rng.uniform(-0.3, 0.3))
    wide, high = min(1, np.sqrt(area * ratio)) * side, min(1, np.sqrt(area / ratio)) * side
    left, top = rng.uniform(0, side - wide), rng.uniform(0, side - high)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + wide, top + high))


def reframe(
    image: Image.Image, box: tuple[float, float, float, float], size: int, rng: np.random.Generator
) -> Image.Image:
    """From a thing cut at its edges to a small one in the middle of much white."""
    side = image.width
    left, top, right, bottom = (side * share for share in box)
    tight = rng.random() < 0.4
    fills = rng.uniform(0.92, 1.08) if tight else rng.uniform(0.5, 0.98)
    wide = (right - left) / fills
    high = (bottom - top) / (rng.uniform(0.92, 1.05) if tight else np.clip(fills * rng.uniform(0.55, 1.1), 0.3, 1))
    x = (left + right - wide) / 2 + rng.uniform(-0.5, 0.5) * abs(wide - (right - left))
    y = (top + bottom - high) / 2 + rng.uniform(-0.5, 0.5) * abs(high - (bottom - top))
    # The part of the wanted frame that is picture; the rest stays white.
    seen = (max(0, x), max(0, y), min(side, x + wide), min(side, y + high))
    place = [
        int(round(v))
        for v in (
            (seen[0] - x) / wide * size,
            (seen[1] - y) / high * size,
            (seen[2] - x) / wide * size,
            (seen[3] - y) / high * size,
        )
    ]
    part = image.resize((max(1, place[2] - place[0]), max(1, place[3] - place[1])), Image.Resampling.BILINEAR, box=seen)
    canvas = Image.new("RGB", (size, size), "white")
    canvas.paste(part, (place[0], place[1]))
    return canvas


def tilt(image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """A few degrees, without the empty corners."""
    turned = image.rotate(rng.uniform(-9, 9), Image.Resampling.BILINEAR)
    edge = size * 0.09
    return turned.resize((size, size), Image.Resampling.BILINEAR, box=(edge, edge, size - edge, size - edge))


def studio(image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """White becomes a light ground with a floor, as in a hall for photographs or a configurator."""
    wall, floor = rng.uniform(0.78, 1, 2)
    ramp = np.interp(
        np.arange(size), [0, size * rng.uniform(0.4, 0.75), size], [wall, wall * rng.uniform(0.96, 1.02), floor]
    )
    tint = 1 + rng.uniform(-0.02, 0.02, 3)
    shade = np.minimum(1, ramp[:, None, None] * tint)
    return Image.fromarray((np.asarray(image) * shade).astype(np.uint8))


def light(image: Image.Image, rng: np.random.Generator, gentle: bool) -> Image.Image:
    """Exposure, contrast, and a white balance that is a little off."""
    width = 0.1 if gentle else 0.2
    gain, gamma = rng.uniform(1 - width, 1 + width), np.exp(rng.uniform(-width, width))
    balance = gain * (1 + rng.uniform(-0.04, 0.04, 3))
    middle, contrast = 128, rng.uniform(1 - width, 1 + width / 2)
    levels = 255 * (np.arange(256) / 255) ** gamma
    table = [np.clip((levels * b - middle) * contrast + middle, 0, 255) for b in balance]
    return image.point([int(v) for channel in table for v in channel])


def bars(image: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """Bars beside or above a picture that had another shape."""
    grey = int(rng.choice([0, 255, rng.integers(0, 256)]))
    canvas = Image.new("RGB", (size, size), (grey, grey, grey))
    long = int(size * rng.uniform(0.55, 0.92))
    shape = (size, long) if rng.random() < 0.7 else (long, size)
    canvas.paste(image.resize(shape, Image.Resampling.BILINEAR), ((size - shape[0]) // 2, (size - shape[1]) // 2))
    return canvas


def banner(image: Image.Image, size: int, rng: np.random.Generator) -> None:
    """A stripe with a price, a label in a corner, or a mark across the picture."""
    draw = ImageDraw.Draw(image, "RGBA")
    solid = int(rng.choice([255, 255, rng.integers(90, 230)]))
    color = (*(int(v) for v in rng.integers(0, 256, 3)), solid)
    ink = (255, 255, 255, 255) if sum(color[:3]) < 420 else (10, 10, 10, 255)
    high = int(size * rng.uniform(0.06, 0.2))
    kind = rng.integers(4)
    if kind <= 1:
        top = 0 if kind else size - high
        draw.rectangle((0, top, size, top + high), fill=color)
        line(draw, rng, rng.choice(BANNERS), (size // 20, top + high // 8, size * 19 // 20, top + high * 7 // 8), ink)
    elif kind == 2:
        wide = int(size * rng.uniform(0.2, 0.5))
        x, y = rng.choice([0, size - wide]), rng.choice([0, size - high])
        draw.rectangle((x, y, x + wide, y + high), fill=color)
        line(draw, rng, rng.choice(BANNERS), (x + 2, y + 2, x + wide - 2, y + high - 2), ink)
    else:
        pale = (*ink[:3], int(rng.integers(60, 160)))
        y = int(rng.uniform(0.2, 0.8) * (size - high))
        line(draw, rng, rng.choice(BANNERS), (size // 8, y, size * 7 // 8, y + high), pale)


def worn(image: Image.Image, size: int, rng: np.random.Generator) -> np.ndarray:
    """Small once, out of focus, noisy, or compressed until it shows."""
    what = rng.random()
    if what < 0.15:
        small = int(size * rng.uniform(0.4, 0.8))
        image = image.resize((small, small), Image.Resampling.BILINEAR).resize((size, size), Image.Resampling.BILINEAR)
    elif what < 0.22:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.4)))
    elif what < 0.37:
        noise = rng.normal(0, rng.uniform(2, 11), (size, size, 1 if rng.random() < 0.5 else 3)).astype(np.float32)
        return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(rng.integers(20, 85)))
        image = Image.open(file)
    return np.asarray(image)
