"""A trunk that can be trained, from the file the user names: ONNX, TorchScript or a program of torch.export."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn

from operations import Operation, known

SCALES = {
    "-1..1": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "0..1": ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""How a backbone wants its pixels: mean and deviation of red, green and blue, of 255."""


class OnnxTrunk(nn.Module):
    """The graph of an ONNX file from its first convolution to its last map, with weights that can be trained.

    Gives that map and the last one of twice its width and height: fine enough to tell paint from glass. What stands
    before and after, such as a normalisation or heads, is left away; so a set of ours may be a start, too.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = folded(path).graph
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        steps, starts = [], []
        for node in graph.node:
            if node.op_type == "Constant":
                constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            elif known(node.op_type) and (steps or node.op_type in ("Conv", "Pad")):
                operands = [name for name in node.input if name and name not in constants]
                steps.append((Operation(node, constants), operands, node.output[0]))
                if node.op_type == "Pad" or (node.op_type == "Conv" and channels(node, constants) == 3):
                    starts += operands[:1]
        if not starts:
            raise SystemExit(f"{path}: no convolution of a picture in it")
        # Beside its trunk a set of ours has a short branch for colour, which also begins at the picture.
        traced = {start: trace(steps, start) for start in dict.fromkeys(starts)}
        self.input = max(traced, key=lambda start: len(traced[start]))
        shapes = traced[self.input]
        side = min((shape[2] for shape in shapes.values() if len(shape) == 4 and shape[2] > 1), default=0)
        if not side:
            raise SystemExit(f"{path}: no map to be had from it")
        self.last = [name for name, shape in shapes.items() if len(shape) == 4 and shape[2] == side][-1]
        self.steps = needed(steps, {self.last})
        finer = [output for _, _, output in self.steps if shapes[output][2] == 2 * side]
        self.fine = finer[-1] if finer else self.last
        self.widths = (shapes[self.last][1], shapes[self.fine][1])
        self.operations = nn.ModuleList(operation for operation, _, _ in self.steps)
        uses = [name for _, operands, _ in self.steps for name in operands] + [self.last, self.fine]
        for operation, operands, _ in self.steps:
            # Writing over a value that nobody else reads saves a third of the time of a step.
            operation.alone = len(operands) == 1 and uses.count(operands[0]) == 1 and operands[0] != self.input

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = run(self.steps, {self.input: images})
        return values[self.last], values[self.fine]


def folded(path: Path) -> onnx.ModelProto:
    """The model with all that does not depend on the picture computed: exporters leave much of that in a graph."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def channels(convolution: onnx.NodeProto, constants: dict[str, np.ndarray]) -> int:
    """Of its input."""
    weights = constants.get(convolution.input[1])
    return 0 if weights is None else weights.shape[1]


def run(steps: list, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Computes one step after the other."""
    for operation, operands, output in steps:
        values[output] = operation(*(values[name] for name in operands))
    return values


@torch.no_grad()
def trace(steps: list, start: str) -> dict[str, torch.Size]:
    """The shapes of all values that can be computed; heads often have some that cannot."""
    values = {start: torch.zeros(1, 3, 224, 224)}
    for step in steps:
        try:
            run([step], values)
        except (KeyError, RuntimeError, ValueError, TypeError, IndexError):
            continue
    return {name: value.shape for name, value in values.items() if name != start}


def needed(steps: list, wanted: set[str]) -> list:
    """The steps without which `wanted` cannot be had."""
    wanted, kept = set(wanted), []
    for step in reversed(steps):
        if step[2] in wanted:
            kept.append(step)
            wanted |= set(step[1])
    return kept[::-1]


class TorchTrunk(nn.Module):
    """A module saved by torch.jit.save (.pt) or torch.export.save (.pt2) that gives one map [N, C, H, W]."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.inner = (
            torch.export.load(path).module() if path.suffix == ".pt2" else torch.jit.load(path, map_location="cpu")
        )
        with torch.no_grad():
            found = self.inner(torch.zeros(2, 3, 224, 224))
        if found.dim() != 4:
            raise SystemExit(f"{path}: gives {tuple(found.shape)}; wanted is a map [N, channels, height, width]")
        self.widths = (found.shape[1], found.shape[1])

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.inner(images)
        return found, found


def trunk(path: Path) -> OnnxTrunk | TorchTrunk:
    """By the ending of the file."""
    return OnnxTrunk(path) if path.suffix == ".onnx" else TorchTrunk(path)
