"""From one month of gappy anomalies to what the network reads, and back to kelvin.

`predict` is the one path from observations to a monthly map: training, evaluation and
`reconstruct` all use it. The network reads anomalies divided by a fixed `scale` and learns what
the Gaussian baseline gets wrong (chapters *Tensors of the sea*, *The loss and the loop*).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from sst_tutorial.baselines import gaussian_mean


@dataclass(frozen=True)
class Settings:
    """What belongs to a set of weights beside the weights.

    scale: K by which anomalies are divided, the spread of anomalies in the training data.
    """

    scale: float = 1.0


def predict(model: nn.Module, settings: Settings, anomaly: Tensor, missing: Tensor, land: Tensor,
            days_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean anomaly of the month, by the network and by the baseline: two (B, H, W) tensors in K.

    anomaly: (B, T, H, W) K, anything where missing. missing: same shape, bool, True = cloud or
    land. land: (B, H, W) bool. days_mask: (B, T) bool, True = a day that does not exist.
    """
    observed = ~(missing | land[:, None])
    if days_mask is not None:
        observed = observed & ~days_mask[:, :, None, None]
    baseline = gaussian_mean(anomaly, observed, days_mask=days_mask)  # (B, H, W)
    data = (anomaly / settings.scale)[:, None]  # (B, 1, T, H, W)
    residual = model(data, ~observed[:, None], land, days_mask)  # (B, H, W)
    return baseline + settings.scale * residual, baseline
