"""Is int8 worth it? It is measured, not assumed: on many processors it makes small networks slower."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

FASTER, AGREE = 0.9, 0.995
"""int8 is taken if it needs less than this share of the time and gives this share of the same answers."""
ROUNDS = 9
"""In turns, so that what slows down the machine for a while slows down both; the middle one counts."""


class Samples(CalibrationDataReader):
    """Pictures by whose values the ranges of int8 are chosen."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.parts = iter(np.array_split(pixels, max(1, len(pixels) // 8)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        part = next(self.parts, None)
        return None if part is None else {"images": part}


def try_int8(path: Path, names: list[str], pixels: np.ndarray) -> dict[str, object]:
    """Puts an int8 model in the place of the file if it is faster and says the same; returns what was found.

    Unsigned activations and signed weights: signed both ways is several times slower.
    """
    # Here, since `export` needs this module.
    from export import milliseconds, session_of

    with tempfile.TemporaryDirectory() as folder:
        ready, small = Path(folder) / "ready.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(small),
            Samples(pixels),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        sessions = [session_of(file) for file in (path, small)]
        answers = [[part.argmax(1) for part in session.run(names, {"images": pixels})] for session in sessions]
        agree = float(np.mean([np.mean(a == b) for a, b in zip(*answers, strict=True)]))
        batch = min(8, len(pixels))
        rounds = [[milliseconds(session, pixels, batch, 2) for session in sessions] for _ in range(ROUNDS)]
        faster = float(np.median([small / full for full, small in rounds]))
        times = np.median(rounds, axis=0)
        taken = faster < FASTER and agree >= AGREE
        if taken:
            shutil.copy(small, path)
        return {"float_ms": float(times[0]), "int8_ms": float(times[1]), "agree": agree, "int8": taken}
