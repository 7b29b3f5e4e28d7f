"""Drawn badges: cast in metal and filled with enamel, photographed or rendered, as makers have them on the bonnet."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lettering import line, maker, write
from logos import SIDE, bevel, flat, metal

Point = tuple[float, float]


def badge(picture: Image.Image, rng: np.random.Generator) -> None:
    """A rim, a ground and a figure or a name on it; alone, with wings, or beside the name of the maker."""
    beside = rng.random() < 0.2
    r = SIDE * (rng.uniform(0.08, 0.2) if beside else rng.uniform(0.1, 0.47))
    x, y = SIDE * (0.22 if beside else rng.uniform(0.46, 0.54)), SIDE * rng.uniform(0.44, 0.56)
    wide = r * rng.choice([1, 1, rng.uniform(0.6, 1), rng.uniform(1, 1.9)])
    wide = min(wide, SIDE * 0.48)
    outline = form(rng)
    if rng.random() < 0.3:
        put(picture, rng, wings(rng), (x, y), (min(r * rng.uniform(1.8, 2.8), SIDE * 0.49), r), metal(rng))
    size, share = (wide, r), 1.0
    for k in range(int(rng.integers(2, 5))):
        cast = rng.random() < (0.85 if k == 0 else 0.4)
        put(picture, rng, outline, (x, y), (size[0] * share, size[1] * share), metal(rng) if cast else flat(rng))
        share *= 1 - rng.uniform(0.05, 0.22)
    inner = (wide * share, r * share)
    kind = rng.random()
    if kind < 0.45:
        put(picture, rng, beast(rng), (x, y), (inner[0] * 0.8, inner[1] * 0.8), metal(rng))
    elif kind < 0.6:
        quarters(picture, rng, (x, y), inner)
    if kind > 0.5 or rng.random() < 0.3:
        name(picture, rng, (x, y), inner)
    if beside:
        ink = tuple(int(v) for v in rng.integers(0, 120, 3))
        box = (int(x + wide * 1.2), int(y - r * 0.6), int(SIDE * 0.97), int(y + r * 0.6))
        line(ImageDraw.Draw(picture), rng, maker(rng), box, ink)


def put(
    picture: Image.Image, rng: np.random.Generator, points: list[Point], at: Point, size: Point, paint: Image.Image
) -> None:
    """A closed form in paint, its edges rounded and lit as those of a casting are."""
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon([(at[0] + px * size[0], at[1] + py * size[1]) for px, py in points], fill=255)
    if rng.random() < 0.5:
        mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(1, 6))).point(lambda v: 255 if v > 120 else 0)
    picture.paste(bevel(paint, mask, rng) if rng.random() < 0.75 else paint, mask=mask)


def form(rng: np.random.Generator) -> list[Point]:
    """A circle, a cog, a rounded box, or a shield."""
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    kind = rng.random()
    if kind < 0.5:
        return [(np.cos(a), np.sin(a)) for a in angles]
    if kind < 0.6:
        teeth, deep = int(rng.integers(12, 30)), rng.uniform(0.04, 0.14)
        return [(np.cos(a) * s, np.sin(a) * s) for a in angles for s in [1 - deep * (np.sin(teeth * a) > 0)]]
    if kind < 0.8:
        # A superellipse: from nearly round to nearly a box.
        power = 2 / rng.uniform(3, 12)
        return [
            (np.sign(np.cos(a)) * abs(np.cos(a)) ** power, np.sign(np.sin(a)) * abs(np.sin(a)) ** power) for a in angles
        ]
    top, waist = rng.uniform(0, 0.15), rng.uniform(0, 0.5)
    half = [(0.0, -1.0 + top), (0.9, -1.0), (1.0, -0.6), (0.95, waist), (0.5, 0.8), (0.0, 1.0)]
    return half + [(-px, py) for px, py in reversed(half[1:-1])]


def wings(rng: np.random.Generator) -> list[Point]:
    """To both sides, feathered below."""
    high, feathers = rng.uniform(0.15, 0.5), int(rng.integers(2, 7))
    half = [(0.0, -high), (1.0, -high * rng.uniform(0.6, 1.3))]
    for k in range(feathers):
        out = 1 - (k + 1) / (feathers + 1)
        half += [(out + 0.1, -high + (k + 1) * 2 * high / feathers), (out, -high + (k + 0.6) * 2 * high / feathers)]
    half.append((0.0, high * rng.uniform(0.6, 1.2)))
    return half + [(-px, py) for px, py in reversed(half)]


def beast(rng: np.random.Generator) -> list[Point]:
    """An uneven figure with limbs, sometimes the same on both sides."""
    n = int(rng.integers(14, 34))
    angles = np.sort(rng.uniform(0, 2 * np.pi, n))
    reach = np.where(rng.random(n) < 0.4, rng.uniform(0.7, 1, n), rng.uniform(0.15, 0.55, n))
    points = [(float(np.cos(a) * s), float(np.sin(a) * s)) for a, s in zip(angles, reach, strict=True)]
    if rng.random() < 0.5:
        return points
    half = sorted((abs(px), py) for px, py in points)
    half.sort(key=lambda point: point[1])
    return half + [(-px, py) for px, py in reversed(half)]


def quarters(picture: Image.Image, rng: np.random.Generator, at: Point, size: Point) -> None:
    """Fields in two colours."""
    paints = [flat(rng), flat(rng)]
    parts = int(rng.choice([2, 3, 4, 4]))
    for k in range(parts):
        turns = np.linspace(k / parts, (k + 1) / parts, 24) * 2 * np.pi
        points = [(0.0, 0.0)] + [(float(np.cos(a)) * 0.9, float(np.sin(a)) * 0.9) for a in turns]
        put(picture, rng, points, at, size, paints[k % 2])


def name(picture: Image.Image, rng: np.random.Generator, at: Point, size: Point) -> None:
    """Across the badge, on a band or without, or its first letter alone."""
    draw = ImageDraw.Draw(picture)
    ink = tuple(
        int(v) for v in rng.choice([rng.integers(0, 70, 3), rng.integers(190, 256, 3), rng.integers(0, 256, 3)])
    )
    high = size[1] * rng.uniform(0.15, 0.4)
    y = at[1] + size[1] * rng.uniform(-0.5, 0.5)
    if rng.random() < 0.3:
        put(picture, rng, [(-1, -1), (1, -1), (1, 1), (-1, 1)], (at[0], y), (size[0] * 0.95, high * 1.3), metal(rng))
    text = maker(rng)
    if rng.random() < 0.25:
        text, high, y = text[: rng.integers(1, 3)], size[1] * 0.7, at[1]
    write(
        draw, rng, text, (int(at[0] - size[0] * 0.85), int(y - high), int(at[0] + size[0] * 0.85), int(y + high)), ink
    )
