"""Makes the small models: `pip install onnx`, then `python make.py`.

Each takes uint8 RGB [N, H, W, 3], runs a convolution (so that CUDA needs cuDNN
for it) and says things of the mean colour that can be worked out by hand.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

HERE = Path(__file__).parent


def model(path, size, outputs, float16=(), inner=()):
    """`outputs`: name -> (weights [3, classes], bias [classes]) on the mean colour, 0 to 1.

    Those in `float16` are cast to it; values of the graph in `inner`: name -> shape, are outputs as well.
    """
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
        made = f"{name}.float32" if name in float16 else name
        nodes.append(helper.make_node("Gemm", ["mean", f"{name}.weight", f"{name}.bias"], [made]))
        if name in float16:
            nodes.append(helper.make_node("Cast", [made], [name], to=TensorProto.FLOAT16))
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", size, size, 3])],
        [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT16 if name in float16 else TensorProto.FLOAT, ["N", len(bias)]
            )
            for name, (_, bias) in outputs.items()
        ]
        + [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in dict(inner).items()],
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
# From what is subnormal in float16 to a few hundred.
vector = [[1, 200, 0, 0], [0, -200, 0, 1e-6], [0, 0, -3, 0]], [0, 0.1, 0, 1e-7]
short = [[1, 2], [1, 0], [1, 0]], [0, -1]
# More than float16 can hold where there is any red.
loud = [[7e4], [0], [0]], [1]

model(HERE / "first.onnx", 8, {"channel": channel, "lightness": lightness})
model(HERE / "second.onnx", 4, {"shade": lightness, "broken": broken})
model(HERE.parent / "probe.onnx", 8, {"channel": channel})
model(
    HERE / "embedding.onnx",
    8,
    {"channel": channel, "vector": vector, "short": short, "loud": loud},
    float16={"short"},
    inner={"pooled": ["N", 3, 1, 1]},
)
