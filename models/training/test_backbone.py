"""Each kind of file that a training may start from."""

import tempfile
import unittest
from pathlib import Path

import torch

from backbone import trunk


class Squeezed(torch.nn.Module):
    """What MobileNetV3 and its kin are made of, in small; ends in a head that nobody wants."""

    def __init__(self) -> None:
        super().__init__()
        layer = lambda a, b, stride: torch.nn.Sequential(
            torch.nn.Conv2d(a, b, 3, stride, 1, bias=False), torch.nn.BatchNorm2d(b), torch.nn.Hardswish()
        )
        self.first = torch.nn.Sequential(layer(3, 8, 4), torch.nn.MaxPool2d(2), layer(8, 8, 2))
        self.squeeze = torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool2d(1), torch.nn.Conv2d(8, 8, 1), torch.nn.Hardsigmoid()
        )
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
        torch.onnx.export(
            self.net,
            (self.images,),
            str(self.place / "net.onnx"),
            opset_version=17,
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "N"}},
        )
        found = trunk(self.place / "net.onnx")
        last, fine = found(self.images)
        self.assertTrue(torch.allclose(last, self.net.map(self.images), atol=1e-4))
        self.assertEqual((last.shape[2], fine.shape[2]), (7, 14))
        last.sum().backward()
        self.assertTrue(all(p.grad is not None for p in found.parameters()))

    def test_the_trunk_of_the_default_set_may_be_a_start(self) -> None:
        found = trunk(Path(__file__).parents[1] / "default" / "vehicle.onnx")
        last, fine = found(torch.rand(2, 3, 224, 224))
        self.assertEqual((last.shape[2], fine.shape[2]), (7, 14))
        weights = sum(p.numel() for p in found.parameters())
        self.assertGreater(weights, 350_000, "all of the trunk, not the branch for colour beside it")

    def test_a_module_of_pytorch_gives_its_map(self) -> None:
        self.net.forward = self.net.map
        torch.jit.trace(self.net, self.images).save(self.place / "net.pt")
        program = torch.export.export(self.net, (self.images,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
        torch.export.save(program, self.place / "net.pt2")
        for name in ("net.pt", "net.pt2"):
            last, _ = trunk(self.place / name)(self.images)
            self.assertTrue(torch.allclose(last, self.net.map(self.images), atol=1e-4), name)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
