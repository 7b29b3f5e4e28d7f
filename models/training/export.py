"""Writes the files of a model set, ONNX and manifest, and checks them against what was trained."""

import hashlib
import re
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from backbone import folded
from labels import Attribute
from network import Tagger
from quantize import try_int8

MANIFEST = """\
# {description}
# Made by models/training/train.py; what it can and cannot do is in card.md.
name = "{name}"
description = "{description}"
{rules}
[[stages]]
name = "{stage}"
file = "{file}"
sha256 = "{sha256}"
input = {{ name = "images", height = {size}, width = {size} }}
embedding = "{embedding}"
"""
EMBEDDING = "embedding"


class Served(nn.Module):
    """What is served: the logits of all attributes, and the mean of the last map, in which like pictures are near."""

    def __init__(self, model: Tagger) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        whole, places = self.model.features(images)
        return (*self.model.logits(whole, places), whole)


def kept(manifest: Path) -> tuple[str, str]:
    """What a person wrote into the manifest that is replaced: rules of the feed, and the self-test, which whatever takes
    its place has to pass as well."""
    if not manifest.is_file():
        return "", ""
    text = manifest.read_text()
    found = re.search(r"^(#.*\n)*\[\[selftest\]\]", text, re.MULTILINE)
    head, entries = (text[: found.start()], "\n" + text[found.start() :]) if found else (text, "")
    rules = [line for line in head.partition("[[stages]]")[0].splitlines() if line.startswith("feed_exclude")]
    return "".join(f"{rule}\n" for rule in rules), entries


def write(
    model: Tagger,
    attributes: list[Attribute],
    thresholds: dict[str, tuple[float, np.ndarray]],
    out: Path,
    name: str,
    stage: str,
    size: int,
    sample: np.ndarray,
    int8: bool,
) -> dict[str, object]:
    """Exports `model` to `out`/`stage`.onnx and checks the file against it on `sample` [N, size, size, 3].

    `thresholds`: for all classes of an attribute, and for each. `int8`: whether to try that. Returns what the card says of the file.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{stage}.onnx"
    names = [a.name for a in attributes]
    outputs = [*names, EMBEDDING]
    model = Served(model).cpu().eval()
    with warnings.catch_warnings():
        # Of the exporter about itself; what it writes is checked below.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.from_numpy(sample[:2]),),
            str(path),
            input_names=["images"],
            output_names=outputs,
            dynamic_axes={key: {0: "N"} for key in ("images", *outputs)},
            opset_version=17,
            dynamo=False,
        )
    # Without what PyTorch's exporter leaves to be computed anew for each picture.
    lean = folded(path)
    ours = [opset for opset in lean.opset_import if opset.domain == ""]
    del lean.opset_import[:]
    lean.opset_import.extend(ours)
    onnx.checker.check_model(lean)
    onnx.save(lean, path)
    facts: dict[str, object] = check(model, outputs, path, sample[:16])
    facts |= try_int8(path, names, sample) if int8 else {"int8": False}
    facts["ms"] = {n: milliseconds(session_of(path), sample, n) for n in (1, 4, 8, 16) if n <= len(sample)}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    description = f"{' and '.join(names)}" + ("; one trunk, a head each" if len(names) > 1 else "")
    rules, selftest = kept(out / "manifest.toml")
    text = MANIFEST.format(
        description=description,
        rules=rules,
        name=name,
        stage=stage,
        file=path.name,
        sha256=digest,
        size=size,
        embedding=EMBEDDING,
    )
    text += "".join(section(a, thresholds.get(a.name)) for a in attributes) + selftest
    (out / "manifest.toml").write_text(text)
    return facts | {"bytes": path.stat().st_size, "sha256": digest}


def section(attribute: Attribute, thresholds: tuple[float, np.ndarray] | None) -> str:
    """The part of the manifest that describes one attribute."""
    lines = [
        "",
        "[[stages.attributes]]",
        f'name = "{attribute.name}"',
        f'output = "{attribute.name}"',
        f"classes = {quoted(attribute.classes)}",
    ]
    if attribute.default:
        lines.append(f'default = "{attribute.default}"')
    if thresholds is not None:
        for_all, each = thresholds
        lines += [
            "# Below these the answer is null: chosen on left-out sources, see card.md.",
            f"min_score = {for_all:.2f}",
        ]
        others = [f'"{name}" = {t:.2f}' for name, t in zip(attribute.classes, each, strict=True) if t != for_all]
        lines += [f"min_scores = {{ {', '.join(others)} }}"] if others else []
    if attribute.applies_when:
        conditions = ", ".join(f"{name} = {quoted(values)}" for name, values in attribute.applies_when.items())
        lines.append(f"applies_when = {{ {conditions} }}")
    return "\n".join(lines) + "\n"


def quoted(names: list[str] | tuple[str, ...]) -> str:
    """A TOML list of strings."""
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def check(model: Served, names: list[str], path: Path, sample: np.ndarray) -> dict[str, object]:
    """ONNX Runtime must give what PyTorch gives, alone and in a batch."""
    session = session_of(path)
    with torch.no_grad():
        wanted = [part.numpy() for part in model(torch.from_numpy(sample))]
    whole = session.run(names, {"images": sample})
    alone = session.run(names, {"images": sample[:1]})
    difference = max(float(abs(got - want).max()) for got, want in zip(whole, wanted, strict=True))
    difference = max(difference, max(float(abs(a - w[:1]).max()) for a, w in zip(alone, wanted, strict=True)))
    if difference > 1e-3:
        raise SystemExit(f"{path}: ONNX Runtime differs from PyTorch by {difference}")
    return {"difference": difference}


def session_of(path: Path) -> onnxruntime.InferenceSession:
    """On one thread, as a worker runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def milliseconds(session: onnxruntime.InferenceSession, sample: np.ndarray, batch: int, tries: int = 8) -> float:
    """For one picture of a batch, the best of some tries: others may use the machine."""
    best = float("inf")
    for _ in range(max(tries, 8 * tries // batch)):
        since = time.perf_counter()
        session.run(None, {"images": sample[:batch]})
        best = min(best, (time.perf_counter() - since) / batch * 1000)
    return best
