"""The operations of ONNX that convolutional backbones are made of, with weights that can be trained."""

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import nn

PLAIN = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": torch.div,
    "Sigmoid": torch.sigmoid,
    "HardSwish": F.hardswish,
    "Identity": lambda x: x,
    "Dropout": lambda x, *_: x,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "GlobalMaxPool": lambda x: x.amax((2, 3), keepdim=True),
}
OTHERS = {
    "Conv",
    "BatchNormalization",
    "Relu",
    "Clip",
    "LeakyRelu",
    "HardSigmoid",
    "Concat",
    "MaxPool",
    "AveragePool",
    "ReduceMean",
    "Flatten",
    "Pad",
}


def known(kind: str) -> bool:
    """Whether an operation can be trained through."""
    return kind in PLAIN or kind in OTHERS


class Operation(nn.Module):
    """One node. Its constants are parameters where they are weights."""

    def __init__(self, node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.kind, self.alone = node.op_type, False
        self.options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        # In the order of the inputs; None stands for one that is computed.
        self.given = []
        for i, name in enumerate(node.input):
            if name in constants:
                value = torch.tensor(constants[name])
                value = value.float() if value.is_floating_point() else value
                if value.dim() and self.kind in ("Conv", "BatchNormalization") and i <= 2:
                    self.register_parameter(f"p{i}", nn.Parameter(value))
                else:
                    self.register_buffer(f"p{i}", value)
                self.given.append(f"p{i}")
            else:
                self.given.append(None if name else "")

    def constant(self, i: int) -> torch.Tensor | None:
        """Input `i`, if it is one and the node has it."""
        name = self.given[i] if i < len(self.given) else ""
        return getattr(self, name) if name else None

    def forward(self, *computed: torch.Tensor) -> torch.Tensor:
        queue = iter(computed)
        x = [next(queue) if name is None else (getattr(self, name) if name else None) for name in self.given]
        match self.kind:
            case "Conv":
                return self.convolve(x[0])
            case "BatchNormalization":
                # With the statistics of the first training: a few hundred pictures have worse ones.
                return F.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=self.options.get("epsilon", 1e-5))
            case "Relu":
                return F.relu(x[0], inplace=self.alone)
            case "Clip":
                low, high = self.limits()
                return F.hardtanh(x[0], low, high, inplace=self.alone)
            case "LeakyRelu":
                return F.leaky_relu(x[0], self.options.get("alpha", 0.01))
            case "HardSigmoid":
                return (x[0] * self.options.get("alpha", 0.2) + self.options.get("beta", 0.5)).clamp(0, 1)
            case "Concat":
                return torch.cat(x, self.options["axis"])
            case "MaxPool" | "AveragePool":
                return self.pool(x[0])
            case "ReduceMean":
                axes = self.options.get("axes") or self.constant(1).tolist()
                return x[0].mean(tuple(axes), keepdim=bool(self.options.get("keepdims", 1)))
            case "Flatten":
                return x[0].flatten(1)
            case "Pad":
                amounts = self.options.get("pads") or self.constant(1).tolist()
                return pad(x[0], (*amounts[2:4], *amounts[6:8]))
            case kind:
                return PLAIN[kind](*x)

    def limits(self) -> tuple[float, float]:
        """Of a Clip, which has them as inputs since opset 11."""
        low, high = self.constant(1), self.constant(2)
        return (
            float(self.options.get("min", -3e38)) if low is None else float(low),
            float(self.options.get("max", 3e38)) if high is None else float(high),
        )

    def sides(self, x: torch.Tensor, kernel: list[int], strides: list[int]) -> tuple[int, ...]:
        """Padding at top, left, bottom and right; ONNX may leave it to be computed."""
        kind = self.options.get("auto_pad", b"NOTSET")
        if kind not in (b"SAME_UPPER", b"SAME_LOWER"):
            return tuple(self.options.get("pads", [0, 0, 0, 0]))
        missing = [max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip(x.shape[2:], strides, kernel, strict=True)]
        less = [m // 2 if kind == b"SAME_UPPER" else m - m // 2 for m in missing]
        return (*less, *(m - half for m, half in zip(missing, less, strict=True)))

    def convolve(self, x: torch.Tensor) -> torch.Tensor:
        strides = self.options.get("strides", [1, 1])
        top, left, bottom, right = self.sides(x, list(self.p1.shape[2:]), strides)
        if (top, left) != (bottom, right):
            x, top, left = pad(x, (top, left, bottom, right)), 0, 0
        return F.conv2d(
            x,
            self.p1,
            self.constant(2),
            strides,
            (top, left),
            self.options.get("dilations", [1, 1]),
            self.options.get("group", 1),
        )

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        kernel, strides = self.options["kernel_shape"], self.options.get("strides", [1, 1])
        around = self.sides(x, kernel, strides)
        ceil = bool(self.options.get("ceil_mode", 0))
        if self.kind == "MaxPool":
            return F.max_pool2d(pad(x, around, -3e38), kernel, strides, ceil_mode=ceil)
        if any(around):
            return F.avg_pool2d(x, kernel, strides, around[:2], ceil, bool(self.options.get("count_include_pad", 0)))
        return F.avg_pool2d(x, kernel, strides, ceil_mode=ceil)


def pad(x: torch.Tensor, around: tuple[int, ...], value: float = 0.0) -> torch.Tensor:
    """By top, left, bottom and right, each its own: PyTorch's own padding is the same on both sides."""
    top, left, bottom, right = around
    return F.pad(x, (left, right, top, bottom), value=value) if any(around) else x
