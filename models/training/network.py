"""One trunk and a head per attribute; from pixels to logits."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from backbone import SCALES, trunk
from labels import Attribute

PAINT, SEEN = 24, 64
"""Channels of plain colour, and of what a head's eye takes from a place."""


class Eye(nn.Module):
    """Looks where it matters: a weight for each place, and the weighted mean of what is there.

    A colour is that of the paint, not the mean of paint, glass, tyres and road.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(channels, SEEN, 1)
        self.weigh = nn.Conv2d(SEEN, 2, 1)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        seen = F.relu(self.look(places))
        weights = self.weigh(seen).flatten(2).softmax(2)
        return (weights @ seen.flatten(2).transpose(1, 2)).flatten(1)


class Tagger(nn.Module):
    """uint8 [N, H, W, 3] to logits [N, classes], for each attribute.

    Normalisation is part of it, so nobody can get it wrong outside. The temperatures make the
    scores honest (Guo et al. 2017, On Calibration of Modern Neural Networks); they change no answer.
    """

    def __init__(self, initial: Path, attributes: list[Attribute], scale: str = "-1..1") -> None:
        super().__init__()
        self.trunk = trunk(initial)
        last, fine = self.trunk.widths
        # Colour as it is, in patches of four by four pixels: a trunk made for shapes forgets it early.
        self.paint = nn.Sequential(
            nn.AvgPool2d(4), nn.Conv2d(3, PAINT, 1), nn.ReLU(), nn.Conv2d(PAINT, PAINT, 1), nn.ReLU()
        )
        self.eyes = nn.ModuleList(Eye(fine + PAINT) for _ in attributes)
        self.heads = nn.ModuleList(nn.Linear(last + 2 * SEEN, len(a.classes)) for a in attributes)
        self.names = [a.name for a in attributes]
        mean, deviation = SCALES[scale]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1))
        self.register_buffer("temperatures", torch.ones(len(attributes)))
        self.dropout = nn.Dropout(0.2)
        # Half again as fast on a CPU.
        self.to(memory_format=torch.channels_last)

    def features(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the heads see of pictures as bytes: the mean of the last map, and each place of a finer one."""
        planes = images.float().permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        planes = (planes - self.mean) / self.deviation
        last, fine = self.trunk(planes)
        paint = F.adaptive_avg_pool2d(self.paint(planes), (int(fine.shape[2]), int(fine.shape[3])))
        return last.mean((2, 3)), torch.cat([fine, paint], 1)

    def logits(self, whole: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the heads say of `features`."""
        both = [torch.cat([whole, eye(places)], 1) for eye in self.eyes]
        return tuple(head(self.dropout(x)) / t for head, x, t in zip(self.heads, both, self.temperatures, strict=True))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.logits(*self.features(images))
