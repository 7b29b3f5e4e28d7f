"""Writes a model set: ONNX, manifest, card."""

import hashlib
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from network import Tagger
from pictures import COLORS, IMAGE_TYPES, SIZE

MANIFEST = """\
# The default model set: what a picture is, and the colour of the vehicle on it.
# Made by models/training/train.py; what it can and cannot do is in card.md.
name = "{name}"
description = "image_type and color of vehicle listings; one MobileNetV2 0.35 trunk, two heads"

[[stages]]
name = "vehicle"
file = "vehicle.onnx"
sha256 = "{sha256}"
input = {{ name = "images", height = {size}, width = {size} }}

[[stages.attributes]]
name = "image_type"
output = "image_type"
classes = {image_types}
default = "Placeholder"

[[stages.attributes]]
name = "color"
output = "color"
classes = {colors}
# Below this the answer is null: chosen on left-out sources, see card.md.
min_score = {min_score}
applies_when = {{ image_type = ["Dealer", "Stock"] }}
"""


def write(model: Tagger, out: Path, name: str, min_score: float, sample: np.ndarray) -> dict[str, float]:
    """Exports `model` to `out` and checks the file against it on `sample` [N, SIZE, SIZE, 3].

    Returns the largest difference of a logit, and milliseconds per picture on one thread.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "vehicle.onnx"
    torch.onnx.export(
        model.eval(), (torch.from_numpy(sample[:2]),), str(path),
        input_names=["images"], output_names=["image_type", "color"],
        dynamic_axes={key: {0: "N"} for key in ("images", "image_type", "color")},
        opset_version=17, dynamo=False,
    )
    onnx.checker.check_model(onnx.load(path))
    quoted = lambda names: "[" + ", ".join(f'"{name}"' for name in names) + "]"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (out / "manifest.toml").write_text(MANIFEST.format(
        name=name, sha256=digest, size=SIZE, image_types=quoted(IMAGE_TYPES), colors=quoted(COLORS),
        min_score=min_score))
    return check(model, path, sample)


def check(model: Tagger, path: Path, sample: np.ndarray) -> dict[str, float]:
    """ONNX Runtime must give what PyTorch gives, alone and in a batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    with torch.no_grad():
        wanted = [part.numpy() for part in model(torch.from_numpy(sample))]
    whole = session.run(["image_type", "color"], {"images": sample})
    alone = session.run(["image_type", "color"], {"images": sample[:1]})
    difference = max(float(abs(got - want).max()) for got, want in zip(whole, wanted, strict=True))
    difference = max(difference, max(float(abs(a - w[:1]).max()) for a, w in zip(alone, wanted, strict=True)))
    if difference > 1e-3:
        raise SystemExit(f"{path}: ONNX Runtime differs from PyTorch by {difference}")
    times = []
    for _ in range(20):
        since = time.perf_counter()
        session.run(None, {"images": sample[:8]})
        times.append((time.perf_counter() - since) / len(sample[:8]) * 1000)
    return {"difference": difference, "ms": float(np.median(times))}
