"""Makes models for odd cases out of `first.onnx`: `pip install onnx`, then `python make_odd.py`."""

from pathlib import Path

import numpy as np
from onnx import checker, helper, load, numpy_helper, save

HERE = Path(__file__).parent


def write(model, name):
    checker.check_model(model, full_check=True)
    save(model, HERE / name)


# Pictures of any size: for sets whose stages want different ones.
any_size = load(HERE / "first.onnx")
for dimension, name in zip(any_size.graph.input[0].type.tensor_type.shape.dim[1:3], ["H", "W"]):
    dimension.dim_param = name
write(any_size, "any_size.onnx")

# Says that it takes any number of pictures, and takes one at a time.
alone = load(HERE / "first.onnx")
for i, node in enumerate(alone.graph.node):
    if node.op_type == "Flatten":
        alone.graph.node[i].CopyFrom(helper.make_node("Reshape", [node.input[0], "one"], node.output))
alone.graph.initializer.append(numpy_helper.from_array(np.array([1, 3]), "one"))
del alone.graph.value_info[:]
save(alone, HERE / "alone.onnx")
