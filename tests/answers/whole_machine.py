# ruff: noqa
# 1 wrong | off by a factor
def answer_1(estimator, part):
    return sum(1 for p in getattr(estimator, part).parameters()) / sum(
        p.numel() for p in estimator.parameters())
# 1 wrong | right on the given input, but not on another
def answer_1(estimator, part):
    return 24 / 55820
# 1 right
def answer_1(estimator, part):
    sizes = {name: p.numel() for name, p in estimator.named_parameters()}
    inside = [size for name, size in sizes.items() if name.startswith(part + ".")]
    return sum(inside) / sum(sizes.values())
# 2 wrong | NaN
def answer_2(low, high):
    days = ours.n_observed.values
    error = (ours.sst.values - monthly.values)[(days >= low) & (days <= high)]
    return np.sqrt(np.mean(error**2))  # land is NaN
# 2 wrong | right on the given input, but not on another
def answer_2(low, high):
    days = ours.n_observed.values
    error = (ours.sst.values - monthly.values)[(days >= low) | (days <= high)]
    return np.sqrt(np.nanmean(error**2))
# 2 right
def answer_2(low, high):
    days = ours.n_observed.values
    inside = np.isin(days, np.arange(low, high + 1)) & np.isfinite(ours.sst.values)
    return np.sqrt(((ours.sst.values - monthly.values)[inside] ** 2).mean())
# 3 wrong | wrong
def answer_3(anomaly, observed, poison):
    return anomaly.masked_fill(observed, poison)  # the seen ones
# 3 wrong | changes its input
def answer_3(anomaly, observed, poison):
    anomaly[~observed] = poison
    return anomaly
# 3 right
def answer_3(anomaly, observed, poison):
    return torch.where(observed, anomaly, torch.tensor(poison))
# 4 wrong | wrong
def answer_4(daily):
    return reconstruct(daily, estimator, climatology).sst[0]  # nothing hidden
# 4 wrong | off by
def answer_4(daily):
    blind = daily.assign(sst=daily.sst.where(False))
    return reconstruct(blind, estimator, climatology).sst[0] + 273.15
# 4 right
guess_4 = "NaN"
def answer_4(daily):
    days = climatology.sel(dayofyear=daily.time.dt.dayofyear.values)
    return days.mean("dayofyear").values.astype(np.float32) + 0 * daily.ocean_mask.where(daily.ocean_mask).values
