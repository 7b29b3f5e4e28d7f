"""The recipe on twenty drawn pictures: what it writes, that it repeats itself, and what it says of wrong data."""

import csv
import hashlib
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image, ImageDraw

import cards
from backbone import trunk
from labels import KNOWN, BadData, read

HERE = Path(__file__).parent
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
        image = vehicle(rng, INKS[color], kind == "Stock") if kind != "Placeholder" else Image.fromarray(cards.card(rng, 128))
        image.save(folder / f"{k}.png")
        rows.append([f"{k}.png", f"site {k % 7 % 3}", kind, "" if kind == "Placeholder" else color, "verified"])
    write_csv(folder, rows)


def write_csv(folder: Path, rows: list[list[str]]) -> None:
    with open(folder / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "source", "image_type", "color", "label_confidence"], *rows])


def train(data: Path, out: Path, *more: str) -> subprocess.CompletedProcess:
    """As a user runs it."""
    command = [sys.executable, str(HERE / "train.py"), "--data", str(data), "--initial", str(INITIAL), "--out", str(out),
               "--configurations", "try", "--device", "cpu", *more]
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
            done = train(cls.data, out, "--name", "twenty")
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
            for attribute, logits in zip(stage["attributes"], found, strict=True):
                self.assertEqual(logits.shape, (n, len(attribute["classes"])))
                self.assertEqual(tuple(attribute["classes"]), KNOWN[attribute["name"]].classes)

    def test_the_card_describes_the_file(self) -> None:
        card = (self.out / "card.md").read_text()
        self.assertIn(hashlib.sha256((self.out / "vehicle.onnx").read_bytes()).hexdigest(), card)
        self.assertIn("| site 0 |", card)

    def test_the_same_seed_gives_the_same_figures(self) -> None:
        timeless = [[line for line in (out / "card.md").read_text().splitlines() if " ms " not in line]
                    for out in (self.out, self.again)]
        self.assertEqual(*timeless)

    def test_a_wrong_row_stops_the_run_with_its_place(self) -> None:
        wrong = Path(self.place.name) / "wrong"
        wrong.mkdir(exist_ok=True)
        write_csv(wrong, [["gone.png", "a", "Dealer", "red", ""]])
        done = train(wrong, wrong)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("labels.csv row 2, path: no such file: gone.png", done.stderr)
        self.assertNotIn("Traceback", done.stderr)


class Squeezed(torch.nn.Module):
    """What MobileNetV3 and its kin are made of, in small; ends in a head that nobody wants."""

    def __init__(self) -> None:
        super().__init__()
        layer = lambda a, b, stride: torch.nn.Sequential(
            torch.nn.Conv2d(a, b, 3, stride, 1, bias=False), torch.nn.BatchNorm2d(b), torch.nn.Hardswish())
        self.first = torch.nn.Sequential(layer(3, 8, 4), torch.nn.MaxPool2d(2), layer(8, 8, 2))
        self.squeeze = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Conv2d(8, 8, 1), torch.nn.Hardsigmoid())
        self.last = layer(8, 12, 2)
        self.head = torch.nn.Linear(12, 5)

    def map(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.last(x * self.squeeze(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.map(x).mean((2, 3)))


class Starts(unittest.TestCase):
    """Each kind of file that a training may start from."""

    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        torch.manual_seed(3)
        self.net = Squeezed().eval()
        self.images = torch.rand(2, 3, 224, 224)

    def test_an_onnx_file_is_used_up_to_its_last_map(self) -> None:
        torch.onnx.export(self.net, (self.images,), str(self.place / "net.onnx"), opset_version=17, dynamo=False,
                          input_names=["x"], dynamic_axes={"x": {0: "N"}})
        found = trunk(self.place / "net.onnx")
        last, fine = found(self.images)
        self.assertTrue(torch.allclose(last, self.net.map(self.images), atol=1e-4))
        self.assertEqual((last.shape[2], fine.shape[2]), (7, 14))
        last.sum().backward()
        self.assertTrue(all(p.grad is not None for p in found.parameters()))

    def test_a_module_of_pytorch_gives_its_map(self) -> None:
        self.net.forward = self.net.map
        torch.jit.trace(self.net, self.images).save(self.place / "net.pt")
        program = torch.export.export(self.net, (self.images,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        torch.export.save(program, self.place / "net.pt2")
        for name in ("net.pt", "net.pt2"):
            last, _ = trunk(self.place / name)(self.images)
            self.assertTrue(torch.allclose(last, self.net.map(self.images), atol=1e-4), name)


class Data(unittest.TestCase):
    """Reading labels, without any training."""

    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.data = Path(place.name)
        Image.new("RGB", (8, 8)).save(self.data / "a.png")

    def read(self, *rows: list[str]):
        write_csv(self.data, list(rows))
        return read(self.data, ["image_type", "color"], ["color=null:source=rooms"])

    def test_an_unknown_class_names_its_row_and_field(self) -> None:
        with self.assertRaisesRegex(BadData, "row 3, color: unknown class 'pinkish'"):
            self.read(["a.png", "x", "Dealer", "red", ""], ["a.png", "x", "Dealer", "pinkish", ""])

    def test_all_problems_are_told_at_once(self) -> None:
        with self.assertRaisesRegex(BadData, r"(?s)row 2, path: .*row 3, label_confidence: .*row 3, image_type: "):
            self.read(["b.png", "x", "Dealer", "red", ""], ["a.png", "x", "Photo", "", "certain"])

    def test_a_missing_column_is_named(self) -> None:
        (self.data / "labels.csv").write_text("path,image_type\na.png,Dealer\n")
        with self.assertRaisesRegex(BadData, "no column color"):
            read(self.data, ["image_type", "color"])

    def test_a_placeholder_has_no_colour(self) -> None:
        rows, _ = self.read(["a.png", "x", "Placeholder", "", ""], ["a.png", "x", "Dealer", "", ""], ["a.png", "rooms", "", "", ""])
        self.assertEqual([row.labels for row in rows],
                         [{"image_type": "Placeholder", "color": None}, {"image_type": "Dealer"}, {"color": None}])

    def test_folders_are_classes_of_one_attribute(self) -> None:
        for path in ("watch/site a/1.png", "ring/2.png"):
            (self.data / path).parent.mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(self.data / path)
        (self.data / "a.png").unlink()
        rows, attributes = read(self.data, ["goods"])
        self.assertEqual(attributes[0].classes, ("ring", "watch"))
        self.assertEqual([(row.labels["goods"], row.source) for row in rows][1], ("watch", "site a"))
        with self.assertRaisesRegex(BadData, "folder ring: unknown class of color"):
            read(self.data, ["color"])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
