"""Variations of pictures that keep their labels: what cameras, dealers and scrapers do to them."""

import torch
import torch.nn.functional as F

from pictures import IMAGE_TYPES

STOCK, DEALER = IMAGE_TYPES.index("Stock"), IMAGE_TYPES.index("Dealer")


def augment(images: torch.Tensor, image_type: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Varies a batch uint8 [N, H, W, 3]; returns floats from 0 to 255 of the same shape."""
    x = images.float().permute(0, 3, 1, 2)
    x = place(x, image_type, rng)
    # Light, contrast and a little noise. No change of hue: colour is a label.
    x = x * uniform(x, 0.75, 1.25, rng)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (x - mean) * uniform(x, 0.8, 1.2, rng) + mean
    x = x + torch.randn(x.shape, generator=rng) * uniform(x, 0, 6, rng)
    x = x.clamp(0, 255)
    x = banners(x, image_type, rng)
    x = soften(x, rng)
    return x.permute(0, 2, 3, 1)


def uniform(x: torch.Tensor, low: float, high: float, rng: torch.Generator) -> torch.Tensor:
    """One number per picture, shaped to multiply with."""
    return low + (high - low) * torch.rand(len(x), 1, 1, 1, generator=rng)


def place(x: torch.Tensor, image_type: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Mirrors, crops, and stretches. Stock pictures, which stand free, may shrink into a white frame."""
    n = len(x)
    scale = 0.7 + 0.35 * torch.rand(n, 2, generator=rng)
    shrink = (image_type == STOCK) & (torch.rand(n, generator=rng) < 0.5)
    scale[shrink] = 1 + 0.7 * torch.rand(int(shrink.sum()), 2, generator=rng)
    shift = (torch.rand(n, 2, generator=rng) * 2 - 1) * (1 - scale).abs()
    mirror = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = scale[:, 0] * mirror, scale[:, 1]
    theta[:, :, 2] = shift
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    # Outside of a picture is white: 255 is 0 after the subtraction.
    return 255 + F.grid_sample(x - 255, grid, align_corners=False)


def banners(x: torch.Tensor, image_type: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Price banners and dealer's stripes over some photographs."""
    height, width = x.shape[2:]
    for i in range(len(x)):
        if image_type[i] != DEALER or torch.rand(1, generator=rng) > 0.2:
            continue
        thick = int(height * (0.06 + 0.12 * float(torch.rand(1, generator=rng))))
        top = 0 if torch.rand(1, generator=rng) < 0.3 else height - thick
        x[i, :, top:top + thick] = torch.rand(3, 1, 1, generator=rng) * 255
        # Letters, as the eye of a small network sees them: light blocks.
        for left in range(width // 16, width - width // 16, width // 12):
            if torch.rand(1, generator=rng) < 0.7:
                x[i, :, top + thick // 4:top + 3 * thick // 4, left:left + width // 20] = 245
    return x


def soften(x: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Some pictures were small, or compressed until they were soft."""
    for i in range(len(x)):
        if torch.rand(1, generator=rng) < 0.25:
            side = int(96 + 100 * float(torch.rand(1, generator=rng)))
            small = F.interpolate(x[i:i + 1], size=(side, side), mode="bilinear", antialias=True)
            x[i] = F.interpolate(small, size=x.shape[2:], mode="bilinear")[0].clamp(0, 255)
    return x
