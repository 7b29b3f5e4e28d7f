"""The fleet's own model set, on ONNX Runtime: the same file, classes and thresholds."""

import pathlib
import tomllib

import numpy
import onnxruntime
from PIL import Image, ImageOps


class Model:
    """The first stage of the set in a folder. One for each process, with one thread."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        stage = tomllib.loads((folder / "manifest.toml").read_text())["stages"][0]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(folder / stage["file"]), options, providers=["CPUExecutionProvider"]
        )
        self.input = stage["input"]
        self.attributes = stage["attributes"]
        self.outputs = [attribute["output"] for attribute in self.attributes]

    def tag(self, file):
        """Tags, scores and size of a picture."""
        picture = Image.open(file)
        size = picture.size
        wanted = (self.input["width"], self.input["height"])
        # JPEG only: decodes at the smallest scale that is large enough.
        picture.draft("RGB", wanted)
        picture = ImageOps.exif_transpose(picture).convert("RGB")
        picture = picture.resize(wanted, Image.Resampling.BILINEAR)
        pixels = numpy.asarray(picture, dtype=numpy.uint8)[numpy.newaxis]
        logits = self.session.run(self.outputs, {self.input["name"]: pixels})
        tags, scores = {}, {}
        for attribute, row in zip(self.attributes, logits):
            tags[attribute["name"]] = None
            if not applies(attribute.get("applies_when", {}), tags):
                continue
            likely = softmax(row[0])
            best = int(likely.argmax())
            scores[attribute["name"]] = float(likely[best])
            if likely[best] >= attribute.get("min_score", 0.0):
                tags[attribute["name"]] = attribute["classes"][best]
        return tags, scores, size


def applies(condition, tags):
    return all(tags.get(name) in values for name, values in condition.items())


def softmax(logits):
    powers = numpy.exp(logits - logits.max())
    return powers / powers.sum()
