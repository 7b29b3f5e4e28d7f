"""What is said of wrong data, and how labels are read. Trains nothing."""

import csv
import tempfile
import unittest
from pathlib import Path

from PIL import Image

from labels import BadData, read


def write_csv(folder: Path, rows: list[list[str]]) -> None:
    with open(folder / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "source", "image_type", "color", "label_confidence"], *rows])


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
        rows, _ = self.read(
            ["a.png", "x", "Placeholder", "", ""], ["a.png", "x", "Dealer", "", ""], ["a.png", "rooms", "", "", ""]
        )
        self.assertEqual(
            [row.labels for row in rows],
            [{"image_type": "Placeholder", "color": None}, {"image_type": "Dealer"}, {"color": None}],
        )

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

    def more(self, *rows: list[str]):
        """A picture that has no colour yet, and what a second file says of it."""
        write_csv(self.data, [["a.png", "x", "Dealer", "", ""]])
        with open(self.data / "more.csv", "w", newline="") as file:
            csv.writer(file).writerows([["path", "image_type", "color"], *rows])
        return read(self.data, ["image_type", "color"], [], self.data / "more.csv")[0][0]

    def test_added_labels_are_taught_and_never_measured(self) -> None:
        row = self.more(["a.png", "Stock", "red"])
        self.assertEqual(row.labels, {"image_type": "Dealer"}, "what the data said stays")
        self.assertEqual(row.added, {"color": "red"})

    def test_a_wrong_added_label_names_its_file_row_and_field(self) -> None:
        with self.assertRaisesRegex(BadData, r"(?s)more.csv row 2, path: .*b.png.*more.csv row 3, color: .*'pink'"):
            self.more(["b.png", "", "red"], ["a.png", "", "pink"])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
