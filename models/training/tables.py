"""The tables of the model card: figures, sources, confusions and thresholds of one attribute."""

import math
from collections.abc import Callable

import numpy as np

import metrics
from metrics import RIGHT, Answers, by_source, share


def attribute(answers: Answers, for_all: float, each: np.ndarray) -> str:
    """Figures, sources, confusions and thresholds of one attribute."""
    name = answers.attribute.name
    parts = [
        f"### `{name}`",
        figures(answers),
        sources(answers),
        f"Labels (rows) and answers (columns), `{name}`:",
        confusion(answers),
        scores(answers, for_all, each),
    ]
    return "\n\n".join(parts)


def figures(answers: Answers) -> str:
    """All pictures, those whose label a person verified, the mean of the sources, and the worst of them."""
    a, v = answers, answers.select(answers.verified)
    classes = len(a.attribute.classes)
    lines = [
        "| | all | verified labels | mean of sources | worst source |",
        "| --- | ---: | ---: | ---: | --- |",
        f"| pictures | {len(a.labels)} | {len(v.labels)} | | |",
        row("right", share(a.right), share(v.right), by_source(v, v.right)),
    ]
    if a.attribute.near:
        near = " and ".join("/".join(pair) for pair in a.attribute.near)
        lines.append(row(f"right, {near} counted as right", share(a.near), share(v.near), by_source(v, v.near)))
    f1 = [metrics.macro_f1(x.said, x.labels, classes) for x in (a, v)]
    lines.append(row("macro F1", *f1, {}))
    for c, name in enumerate(a.attribute.classes) if classes <= 3 else ():
        of, ofv = a.select(a.labels == c), v.select(v.labels == c)
        lines.append(row(f"recall of {name}", share(of.right), share(ofv.right), by_source(of, of.right)))
    error: Callable[[Answers], float] = lambda x: (
        metrics.calibration_error(x.scores.max(1), x.right) if len(x.labels) else math.nan
    )
    errors = {s: error(a.select(a.source == s)) for s in set(a.source)}
    lines.append(row("expected calibration error", error(a), error(v), errors, worst=max))
    for what, taken in (("a threshold for each class", "accepted"), ("one threshold", "kept")):
        x, y = a.select(getattr(a, taken)), v.select(getattr(v, taken))
        lines.append(
            row(
                f"accepted by {what}",
                share(getattr(a, taken)),
                share(getattr(v, taken)),
                by_source(a, getattr(a, taken)),
            )
        )
        lines.append(row("of these right", share(x.right), share(y.right), by_source(x, x.right)))
    if not math.isnan(a.silent):
        lines.append(row("null where there is nothing to be seen", a.silent, math.nan, {}))
    commonest = np.bincount(a.labels, minlength=classes)
    lines.append(
        f"| always {a.attribute.classes[int(commonest.argmax())]} would be right "
        f"| {commonest.max() / commonest.sum():.3f} | | | |"
    )
    return "\n".join(lines)


def row(name: str, everywhere: float, verified: float, per_source: dict[str, float], worst: Callable = min) -> str:
    """One figure, with the mean and the worst of the sources."""
    known = {s: v for s, v in per_source.items() if not math.isnan(v)}
    number = lambda v: "-" if math.isnan(v) else f"{v:.3f}"
    if not known:
        return f"| {name} | {number(everywhere)} | {number(verified)} | | |"
    name_of_worst = worst(sorted(known), key=known.get)
    return (
        f"| {name} | {number(everywhere)} | {number(verified)} | {np.mean(list(known.values())):.3f} | "
        f"{known[name_of_worst]:.3f} {name_of_worst} |"
    )


def sources(answers: Answers) -> str:
    """For each left-out source how many answers are right."""
    near = " near misses counted |" if answers.attribute.near else ""
    lines = [
        f"| left-out source | of | right |{near} accepted | of these right |",
        "| --- | ---: | ---: |" + " ---: |" * (2 + bool(near)),
    ]
    for source in sorted(set(answers.source)):
        a = answers.select(answers.source == source)
        middle = f" {share(a.near):.3f} |" if near else ""
        taken = share(a.right[a.accepted])
        last = "-" if math.isnan(taken) else f"{taken:.3f}"
        lines.append(
            f"| {source} | {len(a.labels)} | {share(a.right):.3f} |{middle} {share(a.accepted):.3f} | {last} |"
        )
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
    return (
        f"Scores from which {RIGHT:.0%} of the answers were right, over all folds: {for_all:.2f} for every class "
        f"alike; class by class: {listed}."
    )
