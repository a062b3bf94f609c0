# ruff: noqa
# 1 wrong | off by a factor
def answer_1(daily_mask):
    return daily_mask.float().mean().item()
# 1 wrong | off by a factor of 1.07
def answer_1(daily_mask):
    return (~daily_mask).sum().item() / (29 * 32 * 32)
# 1 right
def answer_1(daily_mask):
    return 1 - daily_mask.double().mean()
# 2 wrong | right on the given input, but not on another
def answer_2(x, days_mask):
    return torch.nanmean(x, 1)
# 2 wrong | NaN
def answer_2(x, days_mask):
    keep = (~days_mask)[:, :, None, None]
    return (x * keep).sum(1) / keep.sum(1)
# 2 wrong | its shape is
def answer_2(x, days_mask):
    return x.masked_fill(days_mask[:, :, None, None], 0.0).sum(1, keepdim=True) / 29
# 2 right
def answer_2(x, days_mask):
    return torch.nanmean(x.masked_fill(days_mask[:, :, None, None], torch.nan), 1)
# 3 wrong | it is zero everywhere
def answer_3(anomaly):
    return np.nan_to_num(anomaly) * 0 + anomaly * 0
# 3 wrong | it is NaN in
def answer_3(anomaly):
    return (anomaly - anomaly.mean()) / anomaly.std()
# 3 wrong | off by
def answer_3(anomaly):
    return anomaly / np.nanstd(anomaly)
# 3 wrong | it is zero everywhere
def answer_3(anomaly):
    return anomaly * 0
# 3 right
guess_3 = "half"
def answer_3(anomaly):
    known = anomaly[np.isfinite(anomaly)].astype(float)
    return (anomaly - known.sum() / len(known)) / known.std()
# 4 wrong | off by a factor
def answer_4(low, high):
    return 1000.0
# 4 wrong | off by a factor
def answer_4(low, high):
    return np.mean([moved(low, high, e) for e in encoders])
# 4 right
def answer_4(low, high):
    return torch.tensor([moved(low, high, e) for e in encoders]).quantile(0.5)
