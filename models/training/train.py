"""Trains a model set and writes it as ONNX with manifest and card; see README.md."""

import argparse
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import export
import metrics
from card import write_card
from configurations import CONFIGURATIONS
from decoder import Decoder
from draw import drawn
from fit import Configuration, Lesson, fit, logits_of
from folds import folds
from labels import Attribute, BadData, Row, read
from network import Tagger
from pictures import Pictures, join, load

DRAWING = 0.5
"""How much a drawn vehicle counts of a real one."""
WORKER = Path(__file__).parents[2] / "target/release/tagfleet-worker"


@dataclass
class Course:
    """All that a model is trained on, and how."""

    args: argparse.Namespace
    decoder: Decoder
    attributes: list[Attribute]
    rows: list[Row]
    real: Pictures
    more: list[Pictures]
    fold: np.ndarray

    def model(self, plan: Configuration, fold: int | None) -> Tagger:
        """A model that has not seen the sources of `fold`, always from the same start and the same seed.

        What is finished is kept in the folder `work`, so a run that was stopped goes on where it was.
        """
        args = self.args
        left_out = np.zeros(len(self.real), bool) if fold is None else self.fold == fold
        note = f"{plan.name}, {'all sources' if fold is None else f'fold {fold + 1} of {args.folds}'}"
        torch.manual_seed(args.seed)
        model = Tagger(args.initial, self.attributes, args.scale).to(args.device)
        file = args.work / f"{self.key(plan)}-{'all' if fold is None else fold}.pt" if args.work else None
        if file and file.is_file():
            model.load_state_dict(torch.load(file, map_location=args.device))
            return model.eval()
        pictures = self.real.select(~left_out)
        pictures = join(pictures, *self.more, *drawn(pictures, self.attributes, plan.drawn, args.seed))
        model = fit(model, Lesson(pictures, self.attributes), plan, args.seed, note)
        if file:
            args.work.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), file)
        return model

    def key(self, plan: Configuration) -> str:
        """Changes with everything that changes a model."""
        seen = [
            (
                zlib.crc32(part.pixels),
                [part.taught[a.name].tobytes() + part.weight[a.name].tobytes() for a in self.attributes],
            )
            for part in (self.real, *self.more)
        ]
        args = self.args
        facts = (plan, args.seed, args.folds, args.scale, args.initial.read_bytes(), self.attributes, seen)
        return f"{plan.name}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}"

    def served(self, size: int) -> np.ndarray:
        """All pictures as the worker shows them to a model of that size."""
        return self.decoder.decode([row.path for row in self.rows], size)

    def left_out(self, plan: Configuration) -> list[np.ndarray]:
        """Logits of all pictures, each by the model that has not seen its source."""
        served = self.served(plan.size)
        logits = [np.zeros((len(self.real), len(a.classes)), np.float32) for a in self.attributes]
        for fold in range(self.args.folds):
            mask = self.fold == fold
            if mask.any():
                model = self.model(plan, fold)
                for part, said in zip(logits, logits_of(model, served[mask]), strict=True):
                    part[mask] = said
        return logits


def answers_of(course: Course, logits: list[np.ndarray]) -> list[metrics.Answers]:
    """What they say, attribute by attribute."""
    real = course.real
    return [
        metrics.nested(a, part, real.labels[a.name], course.fold, real.source, real.verified)
        for a, part in zip(course.attributes, logits, strict=True)
    ]


def worth(answers: list[metrics.Answers]) -> float:
    """By what configurations are compared: macro F1, the mean of the attributes."""
    return float(np.mean([metrics.macro_f1(a.said, a.labels, len(a.attribute.classes)) for a in answers]))


def arguments() -> argparse.Namespace:
    """See README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with labels.csv, or with a folder for each class"
    )
    parser.add_argument(
        "--attributes", default="image_type,color", help="columns of labels.csv, or what the folders are"
    )
    parser.add_argument(
        "--assume",
        action="append",
        default=[],
        metavar="ATTRIBUTE=CLASS:COLUMN=VALUE",
        help="train unlabelled rows on this, at less weight; CLASS null: nothing to be seen there",
    )
    parser.add_argument(
        "--more-labels", type=Path, metavar="CSV", help="labels of rows that lack them: trained on, never measured"
    )
    parser.add_argument("--drawn", type=Path, help="folder of `tagfleet-loadtest draw`, trained on but not measured")
    parser.add_argument("--worker", type=Path, default=WORKER, help="tagfleet-worker, which decodes the pictures")
    parser.add_argument("--initial", type=Path, required=True, help="backbone to start from: .onnx, .pt or .pt2")
    parser.add_argument(
        "--scale", choices=sorted(("-1..1", "0..1", "imagenet")), default="-1..1", help="pixels it wants"
    )
    parser.add_argument("--configurations", default="heads,standard", help=f"to compare: {', '.join(CONFIGURATIONS)}")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("models/mine"))
    parser.add_argument(
        "--int8", choices=("measured", "never"), default="measured", help="whether to take int8 where it is faster"
    )
    parser.add_argument("--name", help="of the set; default: the name of the folder it is written to")
    parser.add_argument("--stage", help="what the model is called in the manifest; default: its first attribute")
    parser.add_argument("--notes", type=Path, help="Markdown for the card: what it shall say under Rights and Limits")
    parser.add_argument("--work", type=Path, help="folder that keeps decoded pictures and finished models")
    parser.add_argument(
        "--part", help="train only these of the models, such as 0,1 or all, into --work, and write nothing"
    )
    parser.add_argument("--threads", type=int, default=1, help="of the processor; other numbers give other last digits")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    args.name = args.name or args.out.name
    args.stage = args.stage or args.attributes.split(",")[0]
    unknown = [name for name in args.configurations.split(",") if name not in CONFIGURATIONS]
    if unknown:
        parser.error(f"no configuration {', '.join(unknown)}; there are {', '.join(CONFIGURATIONS)}")
    if args.part and not args.work:
        parser.error("--part needs --work")
    return args


def prepare(args: argparse.Namespace) -> Course:
    """Reads everything, and says all that is wrong with it before anything takes time."""
    names = args.attributes.split(",")
    try:
        decoder = Decoder(args.worker, args.work)
        rows, attributes = read(args.data, names, args.assume, args.more_labels)
        real = load(rows, attributes, decoder)
        more = [load(read(args.drawn, names)[0], attributes, decoder, DRAWING)] if args.drawn else []
    except BadData as problem:
        raise SystemExit(str(problem)) from None
    return Course(args, decoder, attributes, rows, real, more, folds(real, args.folds))


def main() -> None:
    """Measures each configuration on left-out sources, and trains the best on everything."""
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    course = prepare(args)
    plans = [CONFIGURATIONS[name] for name in args.configurations.split(",")]
    if args.part:
        for part in args.part.split(","):
            for plan in plans:
                course.model(plan, None if part == "all" else int(part))
        return
    compared = {plan.name: course.left_out(plan) for plan in plans}
    worths = {name: worth(answers_of(course, logits)) for name, logits in compared.items()}
    for name, value in worths.items():
        print(f"{name}: macro F1 on left-out sources {value:.3f}")
    plan = CONFIGURATIONS[max(worths, key=worths.get)]
    logits = compared[plan.name]
    answers = answers_of(course, logits)

    model = course.model(plan, None)
    chosen = {}
    for i, (a, part) in enumerate(zip(course.attributes, logits, strict=True)):
        labels = course.real.labels[a.name]
        known = labels >= 0
        model.temperatures[i] = metrics.temperature(part[known], labels[known], course.real.source[known])
        chosen[a.name] = metrics.thresholds(metrics.softmax(part[known], float(model.temperatures[i])), labels[known])
    # Evenly from all sources.
    sample = course.served(plan.size)[:: max(1, len(course.real) // 64)][:64]
    # An attribute with a default always has an answer; of the others a doubtful one is null.
    thresholds = {a.name: chosen[a.name] for a in course.attributes if a.default is None}
    facts = export.write(
        model,
        course.attributes,
        thresholds,
        args.out,
        args.name,
        args.stage,
        plan.size,
        sample,
        args.int8 == "measured",
    )
    write_card(course, plan, worths, answers, chosen, facts)
    print((args.out / "card.md").read_text())


if __name__ == "__main__":
    main()
