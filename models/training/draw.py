"""The drawn part of the training pictures: what the data of a shop that has photographs lacks."""

import numpy as np

import cards
from labels import Attribute
from paint import HUES, TARGETS, repaint
from pictures import KEPT, NOTHING, Pictures, join, made

DRAWN = "drawn"
"""Their source. Nothing is measured on them."""
REPAINTED = 0.6
"""How much a repainted vehicle counts."""


def drawn(real: Pictures, attributes: list[Attribute], count: int, seed: int) -> list[Pictures]:
    """`count` cards, a quarter as many hidden vehicles and nearly as many repainted ones, of those in `real`.

    Only where the attributes are those of vehicles: of a chair or a house nobody can draw a placeholder from here.
    """
    by_name = {a.name: a for a in attributes}
    rng = np.random.default_rng(seed)
    parts = []
    if count and "image_type" in by_name:
        types = by_name["image_type"].classes
        labels = {name: NOTHING for name in by_name} | {"image_type": types.index("Placeholder")}
        pixels = [cards.card(rng, KEPT) for _ in range(count)]
        stock = np.flatnonzero(real.labels["image_type"] == types.index("Stock"))
        if len(stock):
            pixels += [cards.hidden(real.pixels[rng.choice(stock)], rng, KEPT) for _ in range(count // 4)]
        parts.append(made(pixels, labels, DRAWN))
    if count and "color" in by_name:
        parts += repainted(real, by_name["color"], count, rng)
    return parts


def repainted(real: Pictures, color: Attribute, count: int, rng: np.random.Generator) -> list[Pictures]:
    """Vehicles of `real` in other colours, most in those that it has fewest of."""
    names = color.classes
    sources = np.flatnonzero([label >= 0 and names[label] in HUES for label in real.labels["color"]])
    if not len(sources):
        return []
    have = np.bincount(real.labels["color"][real.labels["color"] >= 0], minlength=len(names))
    targets = [name for name in names if name in TARGETS]
    lacking = np.array([1 / np.sqrt(have[names.index(name)] + 60) for name in targets])
    parts = []
    for _ in range(count):
        i, target = int(rng.choice(sources)), str(rng.choice(targets, p=lacking / lacking.sum()))
        old = names[real.labels["color"][i]]
        pixels = repaint(real.pixels[i], old, target, rng) if old != target else None
        if pixels is not None:
            labels = {name: int(values[i]) for name, values in real.taught.items()} | {"color": names.index(target)}
            parts.append(made([pixels], labels, DRAWN, REPAINTED))
    return [join(*parts)] if parts else []
