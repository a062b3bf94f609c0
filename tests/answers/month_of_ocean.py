# ruff: noqa
# 1 wrong | right on the given input, but not on another: it is off by a factor
def answer_1(noise):
    return rmse(answers["+ gaps"]) * noise / 0.3  # noise as the only cause
# 1 wrong | right on the given input, but not on another: it is off by a factor
def answer_1(noise):
    return rmse(observe(march, fair, seed=2).sst.mean("time"))  # forgets the noise
# 1 wrong | off by a factor of 0.147
def answer_1(noise):
    return rmse(observe(march, all_clear, noise=noise, seed=2).sst.mean("time"))
# 1 wrong | off by a factor
def answer_1(noise):
    return bias(observe(march, fair, noise=noise, seed=2).sst.mean("time"))
# 1 right
guess_1 = "two thirds"
def answer_1(noise):
    sst = observe(march, fair, noise=noise, seed=2).sst.values
    wrong = np.nanmean(sst, axis=0) - truth.values
    return np.sqrt(np.nanmean(wrong**2))
# 2 wrong | its sign is wrong
def answer_2(sst):
    return (sst.mean() - sst[:15].mean()).item()
# 2 wrong | right on the given input, but not on another: its size is right, its sign is wrong
def answer_2(sst):
    return abs(sst[:15].mean() - sst.mean())
# 2 wrong | off by a factor
def answer_2(sst):
    return (sst[:15].mean() - sst[15:].mean()).item()
# 2 right
def answer_2(sst):
    return (sst.isel(time=slice(15)).mean("time") - sst.mean("time")).mean()
# 3 wrong | off by a factor
def answer_3(cover):
    hidden = simulate_clouds(march, cover=cover, seed=5)
    return bias(observe(march, hidden, seed=5).sst.mean("time"))
# 3 wrong | right on the given input, but not on another
def answer_3(cover):
    hidden = simulate_clouds(march, cover=0.5, seed=5)
    return rmse(observe(march, hidden, seed=5).sst.mean("time"))
# 3 wrong | off by a factor
def answer_3(cover):
    return cover**3
# 3 right
guess_3 = "less"
def answer_3(cover):
    maps = observe(march, simulate_clouds(march, cover=cover, seed=5), seed=5)
    wrong = np.nanmean(maps.sst.values, axis=0) - truth.values
    return np.sqrt(np.nanmean(wrong**2))
