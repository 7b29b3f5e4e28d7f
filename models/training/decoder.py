"""Pictures as the worker sees them: `tagfleet-worker preprocess` decodes them, so training cannot differ from serving."""

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from labels import BadData


class Decoder:
    """Asks a worker for pixels, and keeps them in the folder `cache`, which spares a second run the decoding."""

    def __init__(self, worker: Path, cache: Path | None = None) -> None:
        if not worker.is_file():
            raise BadData([f"{worker}: no such program; `cargo build --release -p tagfleet-worker` makes it"])
        self.worker, self.cache = worker, cache

    def decode(self, paths: list[Path], size: int) -> np.ndarray:
        """uint8 [N, size, size, 3]. A picture that the worker cannot decode is an error that names it."""
        facts = (self.preprocessing(size), size, [(str(path), path.stat().st_size) for path in paths])
        key = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
        file = self.cache / f"pictures-{size}-{key}.npy" if self.cache else None
        if file and file.is_file():
            return np.load(file)
        with tempfile.TemporaryDirectory() as folder:
            pixels = self.ask(paths, size, Path(folder) / "pixels.npy")
        if file:
            self.cache.mkdir(parents=True, exist_ok=True)
            np.save(file, pixels)
        return pixels

    def ask(self, paths: list[Path], size: int, out: Path) -> np.ndarray:
        """One run of the worker."""
        command = [str(self.worker), "preprocess", "-", "--size", f"{size}x{size}", "--out", str(out)]
        names = "".join(f"{path}\n" for path in paths)
        done = subprocess.run(command, input=names, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BadData([f"{self.worker.name} preprocess: {done.stderr.strip()}"])
        rows = [json.loads(line) for line in Path(f"{out}.jsonl").read_text().splitlines()]
        bad = [f"{row['path']}: {row['error']} ({row['reason']})" for row in rows if "error" in row]
        if bad:
            raise BadData(bad)
        return np.load(out)

    def preprocessing(self, size: int) -> str:
        """Tells one way of making a model's input from another: the hash of what becomes of two pictures drawn by
        formula, a PNG and a JPEG large enough to be decoded at a part of its size."""
        y, x = np.mgrid[0:1202, 0:1598]
        pixels = np.stack([(x * 7 + y * 3) % 256, (x * y // 64) % 256, (x ^ y) % 256], 2).astype(np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("drawn.png", "drawn.jpg")]
            for file in files:
                Image.fromarray(pixels).save(file, quality=90)
            return hashlib.sha256(self.ask(files, size, Path(folder) / "pixels.npy").tobytes()).hexdigest()[:32]
