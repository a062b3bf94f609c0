"""Networks that the book's network has to beat, trained on the same data by the same loop.

`UNet` is the rival of like size that every reader will ask for: it reads the month as a stack of
images, the 31 days and their 31 validity masks being channels, and answers with one map
(Ronneberger et al. 2015; as DINCAE uses it for clouds, Barth et al. 2020). `WithoutTokens` is the
book's own network with the tokens left out: what is it worth without a transformer? Chapter *The
full GPU run*.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sst_tutorial.model import SpatioTemporalModel, _require_mask
from sst_tutorial.months import DAYS


class WithoutTokens(SpatioTemporalModel):
    """The corrections and the convolutions of the decoder, with nothing in between.

    Same arguments and same parameters as `SpatioTemporalModel` with passes and skip=True; the
    decoder gets zeros where the tokens would be, so encoder and transformer never learn.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        if not self.decoder.skip_chans:
            raise ValueError("network 'without tokens' needs passes > 0 and skip=True")
        for unused in (self.encoder, self.temporal, self.spatial_tr):
            unused.requires_grad_(False)  # DDP waits for the gradient of whatever asks for one

    def forward(
        self,
        daily_data: Tensor,
        daily_mask: Tensor,
        land_mask_patch: Tensor | None = None,
        days_mask: Tensor | None = None,
        return_first_guess: bool = False,
    ):
        """As for `SpatioTemporalModel`."""
        if days_mask is not None:
            daily_mask = self._hide_days(daily_data, daily_mask, days_mask)
        _, _, skip, first_guess = self._correct(daily_data, daily_mask, land_mask_patch, days_mask)
        B, _, _, H, W = daily_data.shape
        _, Ph, Pw = self.patch_size
        latent = skip.new_zeros(B, H // Ph * (W // Pw), self.decoder.proj.in_channels)  # (B, N, D)
        out = self.decoder(latent, H, W, land_mask_patch, skip) + first_guess  # (B, H, W)
        return (out, first_guess) if return_first_guess else out


class UNet(nn.Module):
    """Daily anomalies and their mask in, one map out, like `SpatioTemporalModel`.

    Args:
        width: channels at full resolution; twice and four times as many further down.
    """

    corrections = None  # `months.predict` gives it the Gaussian as first guess
    patch_size = (1, 4, 4)  # two halvings: `reconstruct` pads to multiples of this

    def __init__(self, width=40):
        super().__init__()
        self.down1 = _block(2 * DAYS, width)
        self.down2 = _block(width, 2 * width)
        self.bottom = _block(2 * width, 4 * width)
        self.up2 = _block(6 * width, 2 * width)
        self.up1 = _block(3 * width, width)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, daily_data: Tensor, daily_mask: Tensor, land_mask=None, days_mask=None):
        """daily_data, daily_mask (B, 1, T, H, W), H and W multiples of 4, T at most 31; the rest
        as for `SpatioTemporalModel`. Returns (B, H, W), land 0."""
        T, H, W = daily_data.shape[2:]
        if T > DAYS or H % 4 or W % 4:
            raise ValueError(f"T, H, W = {T}, {H}, {W}: T at most {DAYS}, H and W multiples of 4")
        _require_mask("daily_mask", daily_mask, (len(daily_data), 1, T, H, W))
        if land_mask is not None and land_mask.ndim != 2:
            _require_mask("land_mask", land_mask, (len(daily_data), H, W))
        if days_mask is not None:
            daily_mask = daily_mask | days_mask[:, None, :, None, None]
        x = daily_data.masked_fill(daily_mask, 0.0).squeeze(1)  # (B, T, H, W)
        x = torch.cat([x, (~daily_mask).squeeze(1).to(x.dtype)], 1)  # (B, 2T, H, W)
        if T < DAYS:
            x = F.pad(x.unflatten(1, (2, T)), (0, 0, 0, 0, 0, DAYS - T)).flatten(1, 2)
        fine = self.down1(x)  # (B, width, H, W)
        middle = self.down2(F.max_pool2d(fine, 2))  # (B, 2 width, H/2, W/2)
        x = self.bottom(F.max_pool2d(middle, 2))  # (B, 4 width, H/4, W/4)
        x = self.up2(torch.cat([_twice(x), middle], 1))  # (B, 2 width, H/2, W/2)
        x = self.up1(torch.cat([_twice(x), fine], 1))  # (B, width, H, W)
        x = self.last(x).squeeze(1)  # (B, H, W)
        return x if land_mask is None else x.masked_fill(land_mask, 0.0)


def _block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1),
        nn.GroupNorm(8, outside),
        nn.GELU(),
        nn.Conv2d(outside, outside, 3, padding=1),
        nn.GroupNorm(8, outside),
        nn.GELU(),
    )


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")
