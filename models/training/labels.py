"""Which pictures there are and what is said of them: a `labels.csv`, or a folder for each class."""

import csv
import zlib
from dataclasses import dataclass, field
from pathlib import Path

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
NULLS = {"null", "N/A"}
"""Said of a picture on which the attribute is not to be seen, such as the colour of a vehicle on a logo."""
CONFIDENCE = {"verified": 1.0, "": 1.0, "ambiguous": 0.5, "noisy": 0.7}
"""How much a row counts in training, by its `label_confidence`."""


@dataclass(frozen=True)
class Attribute:
    """What a model says of a picture; `applies_when` as in the manifest."""

    name: str
    classes: tuple[str, ...]
    default: str | None = None
    applies_when: dict[str, list[str]] = field(default_factory=dict)
    near: tuple[tuple[str, str], ...] = ()
    """Pairs of classes that people, too, tell apart by taste."""


KNOWN = {
    "image_type": Attribute("image_type", ("Dealer", "Stock", "Placeholder"), default="Placeholder"),
    "color": Attribute(
        "color",
        ("black", "white", "gray", "silver", "blue", "red", "green", "yellow", "orange", "brown", "beige", "purple"),
        applies_when={"image_type": ["Dealer", "Stock"]},
        near=(("gray", "silver"), ("gray", "black")),
    ),
}


@dataclass
class Row:
    """One picture. `labels` has what somebody said; None is said where there is nothing to be seen."""

    path: Path
    source: str
    labels: dict[str, str | None]
    confidence: str = ""
    assumed: dict[str, str] = field(default_factory=dict)
    """What a rule says where nobody did: trained on, never measured."""
    added: dict[str, str] = field(default_factory=dict)
    """What somebody said later (`--more-labels`): trained on, never measured."""


class BadData(Exception):
    """Everything that is wrong with the data, each line with its row and field."""

    def __init__(self, problems: list[str]) -> None:
        shown = problems[:20]
        more = [f"... and {len(problems) - 20} more"] if len(problems) > 20 else []
        super().__init__("\n".join([f"{len(problems)} problem(s) in the data:", *shown, *more]))


def read(
    data: Path, names: list[str], assume: list[str] = (), more: Path | None = None
) -> tuple[list[Row], list[Attribute]]:
    """Reads `data`/labels.csv, or the folders of classes in `data` where there is no such file.

    `assume` are rules for rows without a label, such as `color=null:source=houses`; `more` is a CSV file
    with the column path and labels of attributes that labels.csv leaves open.
    """
    if (data / "labels.csv").is_file():
        return read_csv(data / "labels.csv", names, assume, more)
    if more:
        raise BadData([f"{more}: adds labels to a labels.csv, and {data} has none"])
    return read_folders(data, names)


Table = list[tuple[int, dict[str, str]]]
"""Rows of a CSV file, each with its line."""


def table_of(file: Path, wanted: list[str]) -> tuple[Table, list[str]]:
    """The rows and columns of a CSV file that has to have all columns `wanted`."""
    with open(file, newline="", encoding="utf-8") as text:
        reader = csv.DictReader(text)
        columns = list(reader.fieldnames or [])
        missing = [name for name in wanted if name not in columns]
        if missing:
            raise BadData([f"{file.name} row 1: no column {', '.join(missing)}"])
        rows = [(reader.line_num, {key: (value or "").strip() for key, value in row.items() if key}) for row in reader]
    return rows, columns


def read_csv(file: Path, names: list[str], assume: list[str], more: Path | None) -> tuple[list[Row], list[Attribute]]:
    """Columns: path, source, one per attribute, and label_confidence if rows are not equally sure."""
    table, _ = table_of(file, ["path", *names])
    attributes = [attribute_of(name, {row[name] for _, row in table}) for name in names]
    problems, rows = [], []
    for line, row in table:
        labels: dict[str, str | None] = {}
        assumed: dict[str, str] = {}
        path = file.parent / row["path"]
        if not row["path"] or not path.is_file():
            problems.append(f"{file.name} row {line}, path: no such file: {row['path'] or '(empty)'}")
        confidence = row.get("label_confidence", "")
        if confidence not in CONFIDENCE:
            problems.append(f"{file.name} row {line}, label_confidence: unknown value {confidence!r}")
        for attribute in attributes:
            value = row[attribute.name]
            if value in attribute.classes:
                labels[attribute.name] = value
            elif value in NULLS or (not value and excluded(attribute, row)):
                labels[attribute.name] = None
            elif value:
                known = ", ".join(attribute.classes)
                problems.append(f"{file.name} row {line}, {attribute.name}: unknown class {value!r}; known are {known}")
            elif (guess := guessed(assume, attribute.name, row)) in NULLS:
                labels[attribute.name] = None
            elif guess:
                assumed[attribute.name] = guess
        if labels or assumed:
            rows.append(Row(path, row.get("source") or group(row["path"]), labels, confidence, assumed))
    if more:
        problems += add(rows, attributes, file.parent, more)
    if problems:
        raise BadData(problems)
    if not rows:
        raise BadData([f"{file.name}: no row has a label"])
    return rows, attributes


def add(rows: list[Row], attributes: list[Attribute], data: Path, more: Path) -> list[str]:
    """Adds the labels of `more` to rows that lack them; returns what is wrong with them."""
    by_path = {row.path: row for row in rows}
    table, columns = table_of(more, ["path"])
    problems = []
    for line, said in table:
        row = by_path.get(data / said["path"])
        if not row:
            problems.append(f"{more.name} row {line}, path: not a labelled picture: {said['path'] or '(empty)'}")
            continue
        for attribute in (a for a in attributes if a.name in columns and said[a.name]):
            value = said[attribute.name]
            if value not in attribute.classes:
                known = ", ".join(attribute.classes)
                problems.append(f"{more.name} row {line}, {attribute.name}: unknown class {value!r}; known are {known}")
            elif attribute.name not in row.labels:
                row.added[attribute.name] = value
    return problems


def read_folders(data: Path, names: list[str]) -> tuple[list[Row], list[Attribute]]:
    """`data`/CLASS/PICTURE, or `data`/CLASS/SOURCE/PICTURE; the classes are those of one attribute."""
    if len(names) != 1:
        raise BadData(
            [
                f"{data}: no labels.csv; folders are classes of one attribute, which --attributes names, "
                f"not {', '.join(names)}"
            ]
        )
    folders = sorted(path for path in data.iterdir() if path.is_dir()) if data.is_dir() else []
    if not folders:
        raise BadData([f"{data}: neither labels.csv nor a folder for each class"])
    attribute = attribute_of(names[0], {folder.name for folder in folders})
    problems = [
        f"folder {folder.name}: unknown class of {names[0]}"
        for folder in folders
        if folder.name not in attribute.classes
    ]
    rows = []
    for folder in folders:
        pictures = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
        if not pictures:
            problems.append(f"folder {folder.name}: no pictures")
        for path in pictures:
            between = path.relative_to(folder).parts[:-1]
            rows.append(Row(path, between[0] if between else group(path.name), {names[0]: folder.name}))
    if problems:
        raise BadData(problems)
    return rows, [attribute]


def attribute_of(name: str, values: set[str]) -> Attribute:
    """A known attribute keeps its classes, so that a misspelt one is found; of any other the data names them."""
    return KNOWN.get(name) or Attribute(name, tuple(sorted(values - NULLS - {""})))


def guessed(rules: list[str], name: str, row: dict[str, str]) -> str | None:
    """What the first rule that fits says of attribute `name`: `name=class:column=value`."""
    for rule in rules:
        said, _, condition = rule.partition(":")
        attribute, _, label = said.partition("=")
        column, _, value = condition.partition("=")
        if attribute == name and row.get(column) == value:
            return label
    return None


def excluded(attribute: Attribute, row: dict[str, str]) -> bool:
    """Whether the attribute does not apply to a picture of which other labels are as given."""
    return any(row.get(other) and row[other] not in values for other, values in attribute.applies_when.items())


def group(name: str) -> str:
    """Pictures without a source are dealt out evenly. They may look alike: such figures flatter."""
    return f"part {zlib.crc32(name.encode()) % 6 + 1}"
