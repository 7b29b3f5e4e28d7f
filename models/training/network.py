"""One trunk and a head per attribute; from pixels to logits."""

from pathlib import Path

import torch
from torch import nn

from backbone import Backbone
from pictures import COLORS, IMAGE_TYPES


class Tagger(nn.Module):
    """uint8 [N, H, W, 3] to logits [N, 3] of image_type and [N, 12] of color.

    Normalisation is part of it, so nobody can get it wrong outside. The temperatures make the
    scores honest (Guo et al. 2017, On Calibration of Modern Neural Networks); they change no answer.
    """

    def __init__(self, initial: Path) -> None:
        super().__init__()
        self.trunk = Backbone(initial)
        features = self.trunk.features
        self.image_type = nn.Linear(features, len(IMAGE_TYPES))
        self.color = nn.Linear(features, len(COLORS))
        self.register_buffer("temperatures", torch.ones(2))
        self.dropout = nn.Dropout(0.2)
        # Half again as fast on a CPU.
        self.to(memory_format=torch.channels_last)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """[N, features] of pictures as bytes, or as floats from 0 to 255."""
        planes = images.float().permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        return self.trunk(planes / 127.5 - 1)

    def heads(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of both attributes."""
        features = self.dropout(features)
        return self.image_type(features) / self.temperatures[0], self.color(features) / self.temperatures[1]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.heads(self.features(images))
