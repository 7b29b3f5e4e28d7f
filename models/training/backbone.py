"""A PyTorch module from an ONNX backbone of convolutions, clips and residual additions."""

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn


class Backbone(nn.Module):
    """The same graph as the ONNX file, with weights that can be trained. Input [N, 3, H, W], output [N, features]."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = onnx.load(path).graph
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.input, self.output = graph.input[0].name, graph.output[0].name
        self.steps: list[tuple[str, list[str], str, str]] = []
        self.convolutions = nn.ModuleDict()
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            operands = [name for name in node.input if name and name not in constants]
            name = f"step{len(self.steps)}"
            match node.op_type:
                case "Conv":
                    weight, *bias = [torch.tensor(constants[i]) for i in node.input[1:]]
                    self.convolutions[name] = convolution(weight, bias, attributes)
                case "Clip" | "Add" | "GlobalAveragePool" | "Flatten" | "Relu" | "ReduceMean" | "Reshape" | "Squeeze":
                    pass
                case other:
                    raise ValueError(f"{path}: cannot train through {other}")
            self.steps.append((node.op_type, operands, node.output[0], name))
        with torch.no_grad():
            self.features = self(torch.zeros(1, 3, 224, 224)).shape[1]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = {self.input: images}
        for operation, operands, output, name in self.steps:
            x = values[operands[0]]
            match operation:
                case "Conv":
                    x = self.convolutions[name](x)
                case "Clip":
                    x = x.clamp(0, 6)
                case "Relu":
                    x = x.relu()
                case "Add":
                    x = x + values[operands[1]]
                case "GlobalAveragePool":
                    x = x.mean((2, 3), keepdim=True)
                case "ReduceMean":
                    x = x.mean((2, 3))
                case _:
                    x = x.flatten(1)
            values[output] = x
        return values[self.output].flatten(1)


def convolution(weight: torch.Tensor, bias: list[torch.Tensor], attributes: dict) -> nn.Module:
    """A Conv2d with these weights; ONNX pads each side by itself, PyTorch does not."""
    groups = attributes.get("group", 1)
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    conv = nn.Conv2d(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]),
        tuple(attributes.get("strides", [1, 1])), groups=groups, bias=bool(bias),
    )
    conv.weight.data.copy_(weight)
    if bias:
        conv.bias.data.copy_(bias[0])
    if top == left == bottom == right:
        conv.padding = (top, left)
        return conv
    return nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv)
