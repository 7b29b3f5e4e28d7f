"""The model card: what was measured, and what nobody should expect."""

import math
from collections.abc import Callable

import numpy as np

import metrics
from export import preprocessing
from fit import Configuration
from metrics import RIGHT, Answers, by_source, share
from pictures import ASSUMED

CARD = """\
# Model card: {name}

{what} Input: uint8 RGB, {size} x {size}, stretched; normalisation is inside the graph.

## How it was made

```sh
{command}
```

Started from `{initial}`, trained on {pictures} pictures of {sources} sources and on drawn ones:
{drawn}.
A label that only a rule gave (`--assume`) counts {assumed} of one that a person gave, and is never measured. Each picture
is varied anew each time it is seen: cut-outs, things on white framed anew or put on studio grounds, mirror, tilt, wrong rotation,
light, white balance, noise, softness, JPEG, bars, banners; never a change of hue but with its label.

Configurations compared on left-out sources, by macro F1 (the mean of the attributes): {compared}.
That choice saw the figures below; their temperatures and thresholds did not. Seed {seed}. Preprocessing `{preprocessing}`
(the first 128 bits of the SHA-256 of the input that comes of a picture drawn by formula).

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
As float32 {float_ms:.1f} ms and as int8 {int8_ms:.1f} ms in a batch of 8, with {agree:.1%} of the same answers: {kind} is kept.

## Limits

{limits}
"""
RIGHTS = """\
What may be done with the pictures in `{data}` is for the user who trains on them to know. The model was trained on them;
none of them is in this folder."""
LIMITS = """\
The figures hold for sources like those above. A source of another kind, with other cameras, other light or another idea of
what the classes are, may be answered worse than the worst of them."""


def write_card(course, plan: Configuration, worths: dict[str, float], answers: list[Answers],
               chosen: dict[str, tuple[float, np.ndarray]], facts: dict[str, object]) -> None:
    """Writes card.md next to the model. Rights and limits that a program cannot know come from `--notes`."""
    args, real = course.args, course.real
    notes = sections(args.notes.read_text()) if args.notes else {}
    what = "; ".join(f"`{a.name}` ({', '.join(a.classes)})" for a in course.attributes) + "."
    text = CARD.format(
        name=args.name, what=f"One trunk, and a head for each of {what}", size=plan.size, command=command(args),
        initial=args.initial.name, pictures=len(real), sources=len(set(real.source)), assumed=ASSUMED,
        drawn=made(course, plan),
        compared=", ".join(f"`{name}` {value:.3f}" for name, value in worths.items()), seed=args.seed,
        preprocessing=preprocessing(plan.size), folds=args.folds,
        rights=notes.get("rights", RIGHTS.format(data=args.data.name)), limits=notes.get("limits", LIMITS),
        attributes="\n\n".join(attribute(a, *chosen[a.attribute.name]) for a in answers),
        kind="int8" if facts["int8"] else "float32",
        **facts | {"ms": ", ".join(f"{ms:.1f} ms in a batch of {n}" for n, ms in facts["ms"].items())},
    )
    (args.out / "card.md").write_text(text)


def made(course, plan: Configuration) -> str:
    """What was drawn."""
    names = {a.name for a in course.attributes}
    parts = [f"{plan.drawn} cards without a photograph, {plan.drawn // 4} vehicles hidden behind such"] if "image_type" in names else []
    parts += [f"up to {plan.drawn // 2} vehicles repainted in colours that are rare"] if "color" in names else []
    parts += [f"{len(part)} of `tagfleet-loadtest draw`" for part in course.more]
    return ", ".join(parts) or "none"


def sections(text: str) -> dict[str, str]:
    """The parts of a Markdown text by their second-level headings."""
    parts = ("\n" + text).split("\n## ")[1:]
    return {part.splitlines()[0].strip().lower(): "\n".join(part.splitlines()[1:]).strip() for part in parts}


def command(args) -> str:
    """What to run to have the same again."""
    words = ["python models/training/train.py --data DATA"] + (["--drawn DRAWN"] if args.drawn else [])
    words += [f"--initial {args.initial.name}", f"--attributes {args.attributes}"]
    words += [f"--assume {rule}" for rule in args.assume]
    words += [f"--configurations {args.configurations}", f"--folds {args.folds} --seed {args.seed}"]
    return " \\\n    ".join(words)


def attribute(answers: Answers, for_all: float, each: np.ndarray) -> str:
    """Figures, sources, confusions and thresholds of one attribute."""
    name = answers.attribute.name
    parts = [f"### `{name}`", figures(answers), sources(answers),
             f"Labels (rows) and answers (columns), `{name}`:", confusion(answers), scores(answers, for_all, each)]
    return "\n\n".join(parts)


def figures(answers: Answers) -> str:
    """All pictures, those whose label a person verified, the mean of the sources, and the worst of them."""
    a, v = answers, answers.select(answers.verified)
    classes = len(a.attribute.classes)
    lines = ["| | all | verified labels | mean of sources | worst source |", "| --- | ---: | ---: | ---: | --- |",
             f"| pictures | {len(a.labels)} | {len(v.labels)} | | |",
             row("right", share(a.right), share(v.right), by_source(v, v.right))]
    if a.attribute.near:
        near = " and ".join("/".join(pair) for pair in a.attribute.near)
        lines.append(row(f"right, {near} counted as right", share(a.near), share(v.near), by_source(v, v.near)))
    f1 = [metrics.macro_f1(x.said, x.labels, classes) for x in (a, v)]
    lines.append(row("macro F1", *f1, {}))
    for c, name in enumerate(a.attribute.classes) if classes <= 3 else ():
        of, ofv = a.select(a.labels == c), v.select(v.labels == c)
        lines.append(row(f"recall of {name}", share(of.right), share(ofv.right), by_source(of, of.right)))
    error: Callable[[Answers], float] = lambda x: metrics.calibration_error(x.scores.max(1), x.right) if len(x.labels) else math.nan
    errors = {s: error(a.select(a.source == s)) for s in set(a.source)}
    lines.append(row("expected calibration error", error(a), error(v), errors, worst=max))
    for what, taken in (("a threshold for each class", "accepted"), ("one threshold", "kept")):
        x, y = a.select(getattr(a, taken)), v.select(getattr(v, taken))
        lines.append(row(f"accepted by {what}", share(getattr(a, taken)), share(getattr(v, taken)), by_source(a, getattr(a, taken))))
        lines.append(row("of these right", share(x.right), share(y.right), by_source(x, x.right)))
    commonest = np.bincount(a.labels, minlength=classes)
    lines.append(f"| always {a.attribute.classes[int(commonest.argmax())]} would be right | {commonest.max() / commonest.sum():.3f} | | | |")
    return "\n".join(lines)


def row(name: str, everywhere: float, verified: float, per_source: dict[str, float], worst: Callable = min) -> str:
    """One figure, with the mean and the worst of the sources."""
    known = {s: v for s, v in per_source.items() if not math.isnan(v)}
    number = lambda v: "-" if math.isnan(v) else f"{v:.3f}"
    if not known:
        return f"| {name} | {number(everywhere)} | {number(verified)} | | |"
    name_of_worst = worst(sorted(known), key=known.get)
    return (f"| {name} | {number(everywhere)} | {number(verified)} | {np.mean(list(known.values())):.3f} | "
            f"{known[name_of_worst]:.3f} {name_of_worst} |")


def sources(answers: Answers) -> str:
    """For each left-out source how many answers are right."""
    near = " near misses counted |" if answers.attribute.near else ""
    lines = [f"| left-out source | of | right |{near} accepted | of these right |", "| --- | ---: | ---: |" + " ---: |" * (2 + bool(near))]
    for source in sorted(set(answers.source)):
        a = answers.select(answers.source == source)
        middle = f" {share(a.near):.3f} |" if near else ""
        taken = share(a.right[a.accepted])
        last = "-" if math.isnan(taken) else f"{taken:.3f}"
        lines.append(f"| {source} | {len(a.labels)} | {share(a.right):.3f} |{middle} {share(a.accepted):.3f} | {last} |")
    return "\n".join(lines)


def confusion(answers: Answers) -> str:
    """Rows are labels, columns answers."""
    names = answers.attribute.classes
    lines = ["| | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for c, name in enumerate(names):
        counts = np.bincount(answers.said[answers.labels == c], minlength=len(names))
        if counts.sum():
            lines.append(f"| **{name}** | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines)


def scores(answers: Answers, for_all: float, each: np.ndarray) -> str:
    """The thresholds of the model in the folder, chosen on the left-out answers of all folds."""
    listed = ", ".join(f"{name} {t:.2f}" for name, t in zip(answers.attribute.classes, each, strict=True))
    return (f"Scores from which {RIGHT:.0%} of the answers were right, over all folds: {for_all:.2f} for every class alike; "
            f"class by class: {listed}.")
