"""The recipe on twenty drawn pictures: what it writes, that it repeats itself, and what it says of wrong data."""

import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image, ImageDraw

import cards
from export import kept
from labels import KNOWN
from test_labels import write_csv

HERE = Path(__file__).parent
WORKER = Path(os.environ.get("TAGFLEET_WORKER", HERE.parents[1] / "target/release/tagfleet-worker"))
INITIAL = HERE.parent / "default" / "vehicle.onnx"
INKS = {"red": (190, 20, 30), "blue": (30, 60, 170), "white": (235, 235, 235), "black": (20, 20, 22)}


def vehicle(rng: np.random.Generator, ink: tuple[int, int, int], studio: bool) -> Image.Image:
    """A box on wheels, on white or in something like a street."""
    ground = np.full((120, 160, 3), 255) if studio else rng.integers(60, 200, (120, 160, 3))
    image = Image.fromarray(ground.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 50, 140, 90), fill=ink)
    draw.rectangle((45, 30, 115, 50), fill=ink)
    for x in (30, 105):
        draw.ellipse((x, 78, x + 26, 104), fill=(25, 25, 25))
    return image


def draw_data(folder: Path) -> None:
    """Twenty pictures of three sources, with labels.csv."""
    rng = np.random.default_rng(5)
    rows = []
    for k in range(20):
        kind, color = ("Dealer", "Stock", "Placeholder")[k % 3], list(INKS)[k % 4]
        image = (
            vehicle(rng, INKS[color], kind == "Stock")
            if kind != "Placeholder"
            else Image.fromarray(cards.card(rng, 128))
        )
        image.save(folder / f"{k}.png")
        rows.append([f"{k}.png", f"site {k % 7 % 3}", kind, "" if kind == "Placeholder" else color, "verified"])
    write_csv(folder, rows)


def train(data: Path, out: Path, *more: str) -> subprocess.CompletedProcess:
    """As a user runs it."""
    command = [
        sys.executable,
        str(HERE / "train.py"),
        "--data",
        str(data),
        "--initial",
        str(INITIAL),
        "--out",
        str(out),
        "--configurations",
        "try",
        "--device",
        "cpu",
        "--worker",
        str(WORKER),
        *more,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class WrittenSet(unittest.TestCase):
    """One run, looked at from all sides, and a second one to compare."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.place = tempfile.TemporaryDirectory()
        cls.data, cls.out, cls.again = (Path(cls.place.name) / name for name in ("data", "out", "again"))
        cls.data.mkdir()
        draw_data(cls.data)
        for out in (cls.out, cls.again):
            # Whether int8 is faster is for the machine to say, not for the seed.
            done = train(cls.data, out, "--name", "twenty", "--int8", "never")
            if done.returncode:
                raise AssertionError(done.stderr)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.place.cleanup()

    def test_the_manifest_describes_the_file(self) -> None:
        stage = tomllib.loads((self.out / "manifest.toml").read_text())["stages"][0]
        file = self.out / stage["file"]
        self.assertEqual(stage["sha256"], hashlib.sha256(file.read_bytes()).hexdigest())
        self.assertLessEqual(onnx.load(file).opset_import[0].version, 17)
        session = onnxruntime.InferenceSession(str(file))
        for n in (1, 3):
            pixels = np.zeros((n, stage["input"]["height"], stage["input"]["width"], 3), np.uint8)
            wanted = [a["output"] for a in stage["attributes"]]
            found = session.run(wanted, {stage["input"]["name"]: pixels})
            [embedding] = session.run([stage["embedding"]], {stage["input"]["name"]: pixels})
            self.assertEqual((embedding.ndim, len(embedding)), (2, n))
            for attribute, logits in zip(stage["attributes"], found, strict=True):
                self.assertEqual(logits.shape, (n, len(attribute["classes"])))
                self.assertEqual(tuple(attribute["classes"]), KNOWN[attribute["name"]].classes)

    def test_the_card_describes_the_file(self) -> None:
        card = (self.out / "card.md").read_text()
        self.assertIn(hashlib.sha256((self.out / "image_type.onnx").read_bytes()).hexdigest(), card)
        self.assertIn("| site 0 |", card)

    def test_the_same_seed_gives_the_same_figures(self) -> None:
        timeless = [
            [line for line in (out / "card.md").read_text().splitlines() if " ms " not in line]
            for out in (self.out, self.again)
        ]
        self.assertEqual(*timeless)

    def test_int8_is_measured_before_it_is_taken(self) -> None:
        small = Path(self.place.name) / "small"
        done = train(self.data, small)
        self.assertEqual(done.returncode, 0, done.stderr)
        card = (small / "card.md").read_text()
        self.assertRegex(card, r"as int8 .* of the same answers:\n(int8|float32) is kept")

    def test_what_a_person_wrote_into_a_manifest_stays_when_it_is_replaced(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            manifest = Path(folder) / "manifest.toml"
            self.assertEqual(kept(manifest), ("", ""))
            manifest.write_text('name = "a"\nfeed_exclude = { room = ["b"] }\n\n[[stages]]\nname = "c"\n')
            self.assertEqual(kept(manifest), ('feed_exclude = { room = ["b"] }\n', ""))
            test = '# Drawn.\n[[selftest]]\nfile = "a.jpg"\ntags = { room = "b" }\n'
            manifest.write_text(f'name = "a"\n\n[[stages]]\n# Not this.\nname = "c"\n\n{test}')
            self.assertEqual(kept(manifest), ("", f"\n{test}"))

    def test_a_wrong_row_stops_the_run_with_its_place(self) -> None:
        wrong = Path(self.place.name) / "wrong"
        wrong.mkdir(exist_ok=True)
        write_csv(wrong, [["gone.png", "a", "Dealer", "red", ""]])
        done = train(wrong, wrong)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("labels.csv row 2, path: no such file: gone.png", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_a_picture_that_the_worker_refuses_is_named(self) -> None:
        broken = Path(self.place.name) / "broken"
        broken.mkdir(exist_ok=True)
        (broken / "page.png").write_text("<html>")
        write_csv(broken, [["page.png", "a", "Dealer", "red", ""]])
        done = train(broken, broken)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"page\.png: .*\(not_an_image\)")
        self.assertNotIn("Traceback", done.stderr)

    def test_a_missing_worker_is_named(self) -> None:
        done = train(self.data, self.out, "--worker", "nowhere/tagfleet-worker")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nowhere/tagfleet-worker: no such program", done.stderr)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
