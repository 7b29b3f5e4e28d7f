"""Drawn placeholders: what a shop shows while it has no photograph. Cards with a sign or words, logos, silhouettes."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from badges import badge
from lettering import COMING, line, maker, write
from logos import SIDE, band, logo


def card(rng: np.random.Generator, size: int) -> np.ndarray:
    """Any of them, without any vehicle on it."""
    picture, ink = ground(rng)
    draw = ImageDraw.Draw(picture)
    kind = rng.choice(["sign", "words", "logo", "badge", "small", "plain"], p=[0.24, 0.12, 0.23, 0.26, 0.12, 0.03])
    if kind == "sign":
        sign(draw, rng, ink)
        if rng.random() < 0.8:
            line(draw, rng, rng.choice(COMING), band(rng, 0.68, 0.9), ink)
    elif kind == "words":
        line(draw, rng, rng.choice(COMING), band(rng, 0.3, 0.6), ink)
        if rng.random() < 0.5:
            line(draw, rng, rng.choice(COMING), band(rng, 0.62, 0.75), ink)
    elif kind == "logo":
        logo(picture, rng)
    elif kind == "badge":
        badge(picture, rng)
    elif kind == "small":
        # Only the name of the model, as sites make them that have no picture at all.
        text = f"{maker(rng)} {rng.integers(1, 999)} {rng.integers(1990, 2027)}"
        middle, high = rng.uniform(0.2, 0.8) * SIDE, rng.uniform(0.015, 0.06) * SIDE
        write(draw, rng, text, (int(SIDE * 0.1), int(middle - high), int(SIDE * 0.9), int(middle + high)), ink)
    return finish(picture, rng, size)


def ground(rng: np.random.Generator) -> tuple[Image.Image, tuple]:
    """A plain or graded ground, most often light, and an ink that is seen on it."""
    level = rng.choice(
        [255, rng.integers(225, 256), rng.integers(90, 225), rng.integers(0, 90)], p=[0.35, 0.25, 0.25, 0.15]
    )
    tint = rng.integers(-40, 41, 3) if rng.random() < 0.3 and level < 255 else np.zeros(3, int)
    first = np.clip(level + tint, 0, 255)
    second = np.clip(first + rng.integers(-50, 51), 0, 255) if rng.random() < 0.3 else first
    ramp = np.linspace(0, 1, SIDE)[:, None, None]
    pixels = np.broadcast_to(first * (1 - ramp) + second * ramp, (SIDE, SIDE, 3)).astype(np.uint8)
    dark = int(level) > 128
    strength = rng.uniform(0.15, 1)
    ink = np.clip(level + (-1 if dark else 1) * strength * 255, 0, 255) + (
        rng.integers(-60, 61, 3) if rng.random() < 0.4 else 0
    )
    return Image.fromarray(np.ascontiguousarray(pixels)), tuple(int(v) for v in np.clip(ink, 0, 255) * np.ones(3))


def sign(draw: ImageDraw.ImageDraw, rng: np.random.Generator, ink: tuple) -> None:
    """A camera, a car from the side, or a frame with a mountain; often crossed out."""
    r = rng.uniform(0.1, 0.24) * SIDE
    x, y, thick = (
        SIDE * rng.uniform(0.45, 0.55),
        SIDE * rng.uniform(0.35, 0.5),
        max(3, int(r * rng.uniform(0.06, 0.16))),
    )
    full = rng.random() < 0.5
    look = {"fill": ink} if full else {"outline": ink, "width": thick}
    kind = rng.integers(3)
    if kind == 0:
        draw.rounded_rectangle((x - r, y - r * 0.6, x + r, y + r * 0.7), r * 0.15, **look)
        draw.rectangle((x - r * 0.3, y - r * 0.8, x + r * 0.3, y - r * 0.6), fill=ink)
        lens = draw.im.getpixel((2, 2)) if full else ink
        draw.ellipse((x - r * 0.4, y - r * 0.35, x + r * 0.4, y + r * 0.45), outline=lens, width=thick)
    elif kind == 1:
        shape = [
            (-1.3, 0.4),
            (-1.3, 0.05),
            (-0.85, -0.05),
            (-0.45, -0.45),
            (0.35, -0.45),
            (0.8, -0.05),
            (1.3, 0.1),
            (1.3, 0.4),
        ]
        points = [(x + px * r, y + py * r) for px, py in shape]
        draw.polygon(points, **look)
        for wheel in (-0.75, 0.75):
            box = (x + (wheel - 0.27) * r, y + 0.13 * r, x + (wheel + 0.27) * r, y + 0.67 * r)
            draw.ellipse(box, fill=ink, outline=draw.im.getpixel((2, 2)), width=thick)
    else:
        draw.rectangle((x - r, y - r * 0.75, x + r, y + r * 0.75), outline=ink, width=thick)
        draw.polygon(
            [
                (x - r * 0.8, y + r * 0.55),
                (x - r * 0.2, y - r * 0.2),
                (x + r * 0.2, y + r * 0.25),
                (x + r * 0.45, y),
                (x + r * 0.8, y + r * 0.55),
            ],
            fill=ink,
        )
        draw.ellipse((x + r * 0.25, y - r * 0.55, x + r * 0.6, y - r * 0.2), fill=ink)
    if rng.random() < 0.45:
        red = ink if rng.random() < 0.5 else (200, 40, 40)
        draw.line((x - r, y + r, x + r, y - r), fill=red, width=thick)
        if rng.random() < 0.4:
            draw.ellipse((x - r * 1.3, y - r * 1.3, x + r * 1.3, y + r * 1.3), outline=red, width=thick)


def hidden(vehicle: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """The shadow of a vehicle that stands free, with "coming soon": it shows that there is no photograph."""
    picture, ink = ground(rng)
    small = (
        Image.fromarray(vehicle)
        .convert("L")
        .resize((int(SIDE * rng.uniform(0.6, 0.95)), int(SIDE * rng.uniform(0.35, 0.6))))
    )
    mask = (
        small.filter(ImageFilter.GaussianBlur(4))
        .point(lambda v: 255 if v < 238 else 0)
        .filter(ImageFilter.GaussianBlur(1))
    )
    place = ((SIDE - small.width) // 2, int(SIDE * rng.uniform(0.1, 0.35)))
    picture.paste(Image.new("RGB", small.size, ink), place, mask)
    line(ImageDraw.Draw(picture), rng, rng.choice(COMING), band(rng, 0.75, 0.92), ink)
    return finish(picture, rng, size)


def finish(picture: Image.Image, rng: np.random.Generator, size: int) -> np.ndarray:
    """Some cards were small once. Frames are part of many."""
    if rng.random() < 0.15:
        edge = tuple(int(v) for v in rng.integers(0, 256, 3))
        ImageDraw.Draw(picture).rectangle((0, 0, SIDE - 1, SIDE - 1), outline=edge, width=int(rng.integers(2, 16)))
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
