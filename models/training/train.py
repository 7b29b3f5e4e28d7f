"""Trains a model set and writes it as ONNX with manifest and card; see README.md."""

import argparse
from pathlib import Path

import numpy as np
import torch

import export
import metrics
from card import write_card
from fit import fit, logits_of, temperature
from network import Tagger
from pictures import COLORS, IMAGE_TYPES, UNKNOWN, Pictures, join, load

FOLDS = 3
DRAWN = "drawn"
RIGHT = 0.97
"""Share of the accepted colours that should be right."""


def folds(pictures: Pictures) -> dict[str, int]:
    """Deals the sources out, the largest first, to whichever fold has fewest pictures of that kind,
    and of those to the smallest.

    A source is never in training and in validation at once: pictures of one source look alike.
    """
    kinds = {}
    for source in sorted(set(pictures.source)):
        labels = pictures.image_type[pictures.source == source]
        known = labels[labels != UNKNOWN]
        kinds[source] = (int(np.bincount(known).argmax()) if len(known) else UNKNOWN, len(labels))
    load_of: dict[tuple[int, int], int] = {}
    where: dict[str, int] = {}
    total = [0] * FOLDS
    for source, (kind, size) in sorted(kinds.items(), key=lambda item: (-item[1][1], item[0])):
        fold = min(range(FOLDS), key=lambda f: (load_of.get((kind, f), 0), total[f], f))
        load_of[kind, fold] = load_of.get((kind, fold), 0) + size
        total[fold] += size
        where[source] = fold
    return where


def train(initial: Path, pictures: Pictures, args: argparse.Namespace, note: str) -> Tagger:
    """One model from the same start and the same seed."""
    torch.manual_seed(args.seed)
    model = Tagger(initial)
    fit(model, pictures, args.epochs, args.rate, torch.Generator().manual_seed(args.seed), note)
    return model


def main() -> None:
    """See README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--drawn", type=Path, help="folder of `tagfleet-loadtest draw`, trained on but not measured")
    parser.add_argument("--initial", type=Path, required=True, help="backbone to start from, ONNX")
    parser.add_argument("--out", type=Path, default=Path("models/default"))
    parser.add_argument("--name", default="vehicles-2026-11")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.use_deterministic_algorithms(True, warn_only=True)

    real = load(args.data)
    drawn = [load(args.drawn, DRAWN)] if args.drawn else []
    where = folds(real)
    fold_of = np.array([where[source] for source in real.source])

    # What the final model can do is measured on models that have not seen the source.
    logits = [torch.zeros(len(real), len(names)) for names in (IMAGE_TYPES, COLORS)]
    for fold in range(FOLDS):
        left_out = fold_of == fold
        if not left_out.any():
            continue
        model = train(args.initial, join(real.select(~left_out), *drawn), args, f"fold {fold + 1} of {FOLDS}")
        for part, said in zip(logits, logits_of(model, real.select(left_out)), strict=True):
            part[torch.from_numpy(left_out)] = said
    temperatures = [temperature(part, labels) for part, labels in zip(logits, (real.image_type, real.color), strict=True)]
    logits = [part / t for part, t in zip(logits, temperatures, strict=True)]

    known = real.color != UNKNOWN
    best = logits[1].softmax(1).max(1)
    scores, said = best.values.numpy()[known], best.indices.numpy()[known]
    min_score = metrics.threshold(scores, said == real.color[known], RIGHT)

    model = train(args.initial, join(real, *drawn), args, "all sources")
    model.temperatures.copy_(torch.tensor(temperatures))
    checked = export.write(model, args.out, args.name, min_score, real.pixels[:64])
    write_card(args, real, logits, min_score, checked)
    print((args.out / "card.md").read_text())


if __name__ == "__main__":
    main()
