"""Makes the small models: `pip install onnx`, then `python make.py`.

Each takes uint8 RGB [N, H, W, 3], runs a convolution (so that CUDA needs cuDNN
for it) and says things of the mean colour that can be worked out by hand.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

HERE = Path(__file__).parent


def model(path, size, outputs):
    """`outputs`: name -> (weights [3, classes], bias [classes]) on the mean colour, 0 to 1."""
    weights = {"identity": np.eye(3).reshape(3, 3, 1, 1) / 255}
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "identity"], ["scaled"]),
        helper.make_node("GlobalAveragePool", ["scaled"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
    ]
    for name, (matrix, bias) in outputs.items():
        weights |= {f"{name}.weight": np.array(matrix), f"{name}.bias": np.array(bias)}
        nodes.append(helper.make_node("Gemm", ["mean", f"{name}.weight", f"{name}.bias"], [name]))
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", size, size, 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(bias)])
            for name, (_, bias) in outputs.items()
        ],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(made, full_check=True)
    save(made, path)


channel = 10 * np.eye(3), [0, 0, 0]
# The logit is 10 * (lightness - 0.5), and its opposite.
lightness = np.outer([1, 1, 1], [-10 / 3, 10 / 3]), [5, -5]
# Not a number, whatever the picture.
broken = np.zeros((3, 2)), [np.nan, np.nan]

model(HERE / "first.onnx", 8, {"channel": channel, "lightness": lightness})
model(HERE / "second.onnx", 4, {"shade": lightness, "broken": broken})
model(HERE.parent / "probe.onnx", 8, {"channel": channel})
