"""The model card: what was measured, and what nobody should expect."""

import numpy as np

from fit import Configuration
from metrics import Answers
from pictures import ADDED, ASSUMED
from tables import attribute

CARD = """\
# Model card: {name}

{what} Input: uint8 RGB, {size} x {size}, stretched; normalisation is inside the graph.

## How it was made

```sh
{command}
```

Started from `{initial}`, trained on {pictures} pictures of {sources} sources and on drawn ones:
{drawn}.
A label that only a rule gave (`--assume`) counts {assumed} of one that came with the picture, one that was added
later (`--more-labels`: {added}) {worth}; neither is ever measured. Each picture is varied anew each
time it is seen: cut-outs, things on white framed anew or put on studio grounds, mirror, tilt, wrong rotation, light,
white balance, noise, softness, JPEG, bars, banners; never a change of hue but with its label.

Configurations compared on left-out sources, by macro F1 (the mean of the attributes): {compared}.
That choice saw the figures below; their temperatures and thresholds did not. Seed {seed}. Preprocessing
`{preprocessing}` (the first 128 bits of the SHA-256 of the input that `tagfleet-worker preprocess`
makes of two pictures drawn by formula).

## Rights

{rights}

## How right it is

Measured on left-out sources: the sources are dealt out to {folds} folds, each fold is answered by a model that was
trained on the other folds only. Temperature and thresholds for a fold were chosen on the answers to the other folds.
The model in this folder is trained on all of them, by the same recipe; nobody has measured it on pictures that it has
not seen.

{attributes}

## The file

{bytes} bytes, SHA-256 `{sha256}`. ONNX Runtime against PyTorch: largest difference of a logit {difference:.1e}.
On one thread of a shared machine a picture takes, for all attributes together: {ms}.
{quantized}

## Limits

{limits}
"""
RIGHTS = """\
What may be done with the pictures in `{data}` is for the user who trains on them to know. The model was trained on
them; none of them is in this folder."""
LIMITS = """\
The figures hold for sources like those above. A source of another kind, with other cameras, other light or another
idea of what the classes are, may be answered worse than the worst of them."""


def write_card(
    course,
    plan: Configuration,
    worths: dict[str, float],
    answers: list[Answers],
    chosen: dict[str, tuple[float, np.ndarray]],
    facts: dict[str, object],
) -> None:
    """Writes card.md next to the model. Rights and limits that a program cannot know come from `--notes`."""
    args, real = course.args, course.real
    notes = sections(args.notes.read_text()) if args.notes else {}
    what = "; ".join(f"`{a.name}` ({', '.join(a.classes)})" for a in course.attributes) + "."
    text = CARD.format(
        name=args.name,
        what=f"One trunk, and a head for {what}"
        if len(course.attributes) == 1
        else f"One trunk, and a head for each of {what}",
        size=plan.size,
        command=command(args),
        initial=args.initial.name,
        pictures=len(real),
        sources=len(set(real.source)),
        assumed=ASSUMED,
        worth=ADDED,
        added=added(course),
        drawn=made(course, plan),
        compared=", ".join(f"`{name}` {value:.3f}" for name, value in worths.items()),
        seed=args.seed,
        preprocessing=course.decoder.preprocessing(plan.size),
        folds=args.folds,
        rights=notes.get("rights", RIGHTS.format(data=args.data.name)),
        limits=notes.get("limits", LIMITS),
        attributes="\n\n".join(attribute(a, *chosen[a.attribute.name]) for a in answers),
        quantized=quantized(facts),
        **facts | {"ms": ", ".join(f"{ms:.1f} ms in a batch of {n}" for n, ms in facts["ms"].items())},
    )
    (args.out / "card.md").write_text(text)


def quantized(facts: dict[str, object]) -> str:
    """What was found when int8 was tried."""
    if "int8_ms" not in facts:
        return "Weights and sums are float32."
    times = "As float32 {float_ms:.1f} ms and as int8 {int8_ms:.1f} ms in a batch of 8".format(**facts)
    kind = "int8" if facts["int8"] else "float32"
    return f"{times}, with {facts['agree']:.1%} of the same answers:\n{kind} is kept."


def added(course) -> str:
    """How many labels, attribute by attribute."""
    counts = {a.name: sum(a.name in row.added for row in course.rows) for a in course.attributes}
    return ", ".join(f"{count} of `{name}`" for name, count in counts.items() if count) or "none"


def made(course, plan: Configuration) -> str:
    """What was drawn."""
    names = {a.name for a in course.attributes}
    parts = (
        [f"{plan.drawn} cards without a photograph, {plan.drawn // 4} vehicles hidden behind such"]
        if "image_type" in names
        else []
    )
    parts += [f"up to {plan.drawn} vehicles repainted in colours that are rare"] if "color" in names else []
    parts += [f"{len(part)} of `tagfleet-loadtest draw`" for part in course.more]
    return ", ".join(parts) or "none"


def sections(text: str) -> dict[str, str]:
    """The parts of a Markdown text by their second-level headings."""
    parts = ("\n" + text).split("\n## ")[1:]
    return {part.splitlines()[0].strip().lower(): "\n".join(part.splitlines()[1:]).strip() for part in parts}


def command(args) -> str:
    """What to run to have the same again."""
    words = ["python models/training/train.py --data DATA"] + (["--drawn DRAWN"] if args.drawn else [])
    words += [f"--stage {args.stage}"] if args.stage != args.attributes.split(",")[0] else []
    words += [f"--initial {args.initial.name}", f"--attributes {args.attributes}"]
    words += [f"--assume {rule}" for rule in args.assume]
    words += [f"--more-labels {args.more_labels.name}"] if args.more_labels else []
    words += [f"--configurations {args.configurations}", f"--folds {args.folds} --seed {args.seed}"]
    return " \\\n    ".join(words)
