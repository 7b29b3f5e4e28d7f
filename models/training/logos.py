"""Drawn logos: shops show that of the make, or their own, while they have no photograph."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lettering import line, maker, write

SIDE = 512
"""Drawn at twice the size that is kept, for smooth edges."""


def band(rng: np.random.Generator, top: float, bottom: float) -> tuple[int, int, int, int]:
    """A box for a line of words."""
    margin = rng.uniform(0.05, 0.25)
    return int(margin * SIDE), int(top * SIDE), int((1 - margin) * SIDE), int(bottom * SIDE)


def logo(picture: Image.Image, rng: np.random.Generator) -> None:
    """A badge with rings, wings and a figure in it, flat or like chrome, with a name or without."""
    name, alone = rng.random() < 0.7, rng.random() < 0.2
    draw = ImageDraw.Draw(picture)
    if not alone:
        x, y, r = SIDE * 0.5, SIDE * (0.4 if name else 0.5), SIDE * rng.uniform(0.12, 0.33)
        wide = r * rng.choice([1, 1, rng.uniform(1, 2.2)])
        solid = rng.random() < 0.5
        for k in range(rng.integers(1, 6)):
            s = (1 - rng.uniform(0.08, 0.25)) ** k
            mask = Image.new("L", picture.size)
            shape(ImageDraw.Draw(mask), rng, x, y, wide * s, r * s, hollow=rng.random() < 0.25)
            if rng.random() < 0.4:
                # Round what has corners: beasts and letters of a badge.
                mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(2, 9))).point(lambda v: 255 if v > 120 else 0)
            paint = metal(rng) if rng.random() < (0.75 if solid else 0.3) else flat(rng)
            picture.paste(bevel(paint, mask, rng) if solid else paint, mask=mask)
        if rng.random() < 0.2:
            around(draw, rng, x, y, wide * 0.85, r * 0.85)
        if rng.random() < 0.35:
            write(
                draw,
                rng,
                maker(rng)[: rng.integers(1, 7)],
                (int(x - wide * 0.7), int(y - r * 0.4), int(x + wide * 0.7), int(y + r * 0.4)),
                tuple(int(v) for v in rng.integers(0, 256, 3)),
            )
    if name or alone:
        ink = (20, 20, 20) if rng.random() < 0.5 else tuple(int(v) for v in rng.integers(0, 200, 3))
        line(draw, rng, maker(rng), band(rng, 0.4, 0.6) if alone else band(rng, 0.76, 0.92), ink)


def shape(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, y: float, w: float, h: float, hollow: bool
) -> None:
    """A circle, a shield, a star, wings, bars or a beast: something closed."""
    kind = rng.integers(6)
    if kind <= 1:
        look = {"outline": 255, "width": int(max(4, h * rng.uniform(0.08, 0.3)))} if hollow else {"fill": 255}
        draw.ellipse((x - w, y - h, x + w, y + h), **look)
        return
    if kind == 2:
        points = [(-0.85, -1), (0.85, -1), (0.85, 0.1), (0.45, 0.7), (0, 1), (-0.45, 0.7), (-0.85, 0.1)]
    elif kind == 3:
        n = int(rng.integers(3, 9))
        inner = rng.uniform(0.25, 1)
        turns = [(k / n * np.pi, 1 if k % 2 else inner) for k in range(2 * n)]
        points = [(np.sin(a) * s, -np.cos(a) * s) for a, s in turns]
    elif kind == 4:
        half = [
            (0, -rng.uniform(0.1, 0.5)),
            (rng.uniform(1, 1.8), -rng.uniform(0.2, 0.9)),
            (rng.uniform(0.7, 1.5), rng.uniform(0, 0.3)),
            (rng.uniform(0.3, 0.8), rng.uniform(0.1, 0.6)),
            (0, rng.uniform(0.2, 0.9)),
        ]
        points = half + [(-a, b) for a, b in reversed(half)]
    else:
        n = int(rng.integers(8, 20))
        angles = np.sort(rng.uniform(0, 2 * np.pi, n))
        points = [(np.sin(a) * s, np.cos(a) * s) for a, s in zip(angles, rng.uniform(0.3, 1, n), strict=True)]
    draw.polygon([(x + px * w, y + py * h) for px, py in points], fill=255)


def around(draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, y: float, w: float, h: float) -> None:
    """Letters along an oval."""
    text, ink = (maker(rng) + " " + maker(rng)).upper(), tuple(int(v) for v in rng.integers(0, 256, 3))
    for k, letter in enumerate(text):
        a = np.pi * (1.1 + 0.8 * k / max(1, len(text) - 1))
        cx, cy = x + np.cos(a) * w, y + np.sin(a) * h
        write(draw, rng, letter, (int(cx - h * 0.1), int(cy - h * 0.1), int(cx + h * 0.1), int(cy + h * 0.1)), ink)


def bevel(paint: Image.Image, mask: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Light on the upper edges and shadow on the lower: most badges were cast in metal."""
    height = np.asarray(mask.filter(ImageFilter.GaussianBlur(rng.uniform(3, 10)))).astype(np.float32)
    slope = (
        np.roll(height, -4, 0)
        - np.roll(height, 4, 0)
        + rng.uniform(-1, 1) * (np.roll(height, -4, 1) - np.roll(height, 4, 1))
    )
    lit = np.asarray(paint).astype(np.float32) + slope[..., None] * rng.uniform(0.6, 2)
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def metal(rng: np.random.Generator) -> Image.Image:
    """Light and dark bands, as on chrome."""
    stops = rng.integers(60, 256, rng.integers(3, 7))
    y, x = np.mgrid[0 : 1 : SIDE * 1j, 0 : 1 : SIDE * 1j]
    way = np.clip(y + rng.uniform(-0.6, 0.6) * (x - 0.5), 0, 1)
    ramp = np.interp(way, np.linspace(0, 1, len(stops)), stops)
    tint = np.ones(3) if rng.random() < 0.65 else rng.choice([[1, 0.85, 0.5], [0.9, 0.7, 0.5], rng.uniform(0.3, 1, 3)])
    return Image.fromarray((ramp[..., None] * tint).astype(np.uint8))


def flat(rng: np.random.Generator) -> Image.Image:
    """One colour, often black or strong."""
    color = (0, 0, 0) if rng.random() < 0.25 else tuple(int(v) for v in rng.integers(0, 256, 3))
    return Image.new("RGB", (SIDE, SIDE), color)
