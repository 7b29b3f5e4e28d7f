"""The model card: what was measured, and what nobody should expect."""

import argparse

import torch

import metrics
from pictures import COLORS, IMAGE_TYPES, UNKNOWN, Pictures

CARD = """\
# Model card: {name}

One MobileNetV2 (width 0.35) trunk and two heads: `image_type` ({image_types}) and `color` ({colors}; null where the
score is below {min_score}, or where `image_type` is Placeholder). Input: uint8 RGB, 224 x 224, stretched; normalisation
is inside the graph.

## How it was made

```sh
python models/training/train.py --data DATA --drawn DRAWN --initial {initial} \\
    --epochs {epochs} --rate {rate} --seed {seed}
```

Started from ImageNet weights of MobileNetV2 0.35 (Keras Applications, Apache-2.0), trained on {real} pictures of
{sources} sources and on pictures of `tagfleet-loadtest draw`. Variations: mirror, crop, white frames, light, contrast, noise,
softness, price banners; never a change of hue.

## Rights

For most of the photographs no licence is stated. None of them is part of this project, but the weights were trained on
them. Whoever needs certainty about rights trains the set again on pictures of their own; the command above is all it takes.

## How right it is

Measured on left-out sources: the sources are dealt out to {folds} folds, each fold is answered by a model that was trained on
the other folds only. The model in this folder is trained on all of them, by the same recipe.

| | image_type | color |
| --- | ---: | ---: |
| pictures with a label | {types_known} | {colors_known} |
| right | {type_right:.3f} | {color_right:.3f} |
| right, gray counted near silver and black | | {color_near:.3f} |
| macro F1 | {type_f1:.3f} | {color_f1:.3f} |
| always the commonest class would be right | {type_majority:.3f} ({type_commonest}) | {color_majority:.3f} ({color_commonest}) |
| expected calibration error | {type_ece:.3f} | {color_ece:.3f} |
| answered with a score of {min_score} or more | | {accepted:.3f} |
| of these right | | {accepted_right:.3f} |

Recall of Placeholder: {placeholder_recall:.3f}.

{by_source}

Labels (rows) and answers (columns), `image_type`:

{type_table}

`color`:

{color_table}

## The file

ONNX Runtime against PyTorch: largest difference of a logit {difference:.1e}. {ms:.1f} ms a picture on one thread of a
shared machine, batch 8.

## Limits

Few sources, all of them cars: motorcycles, lorries, boats and interiors are hardly known. Brown, beige and purple are
rare in the data. Logos and the grey "no picture" cards of two sites stand for all placeholders, with drawn ones.
"""


def write_card(args: argparse.Namespace, real: Pictures, logits: list[torch.Tensor], min_score: float,
               checked: dict[str, float]) -> None:
    """Writes card.md next to the model."""
    facts: dict[str, object] = {}
    for prefix, part, labels, names in (
        ("type", logits[0], real.image_type, IMAGE_TYPES),
        ("color", logits[1], real.color, COLORS),
    ):
        known = labels != UNKNOWN
        best = part.softmax(1).max(1)
        said, scores = best.indices.numpy()[known], best.values.numpy()[known]
        right = said == labels[known]
        commonest, share = metrics.majority(labels, names)
        facts |= {
            f"{prefix}s_known": int(known.sum()),
            f"{prefix}_right": right.mean(),
            f"{prefix}_f1": metrics.macro_f1(said, labels[known], len(names)),
            f"{prefix}_ece": metrics.calibration_error(scores, right),
            f"{prefix}_majority": share,
            f"{prefix}_commonest": commonest,
            f"{prefix}_table": "\n".join(metrics.table(part, labels, names)),
        }
        if prefix == "color":
            accepted = scores >= min_score
            facts |= {
                "color_near": metrics.near_right(said, labels[known]).mean(),
                "accepted": accepted.mean(),
                "accepted_right": right[accepted].mean() if accepted.any() else 0.0,
            }
        else:
            placeholder = labels[known] == IMAGE_TYPES.index("Placeholder")
            facts["placeholder_recall"] = right[placeholder].mean() if placeholder.any() else 0.0
    text = CARD.format(
        name=args.name, image_types=", ".join(IMAGE_TYPES), colors=", ".join(COLORS), min_score=min_score,
        initial=args.initial.name, epochs=args.epochs, rate=args.rate, seed=args.seed, real=len(real),
        sources=len(set(real.source)), folds=3,
        by_source="\n".join(metrics.by_source(tuple(logits), real.image_type, real.color, real.source)),
        **checked, **facts,
    )
    (args.out / "card.md").write_text(text)
