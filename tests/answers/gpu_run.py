# ruff: noqa
# 1 wrong | off by a factor
def answer_1(error):
    return error.square().mean(1).sqrt().mean()
# 1 wrong | it is the square of what it should be
def answer_1(error):
    return error.square().mean()
# 1 wrong | off by a factor
def answer_1(error):
    return error.abs().mean()
# 1 right
def answer_1(error):
    return error.norm() / error.numel() ** 0.5
# 2 wrong | it is wrong in
def answer_2(values, seen):
    return (values * seen).mean(dim=1)
# 2 wrong | NaN in 1 of 3 entries
def answer_2(values, seen):
    return (values * seen).sum(dim=1) / seen.sum(dim=1)
# 2 wrong | right on the given input, but not on another
def answer_2(values, seen):
    return (seen.sum(dim=1) > 0).float()
# 2 right
def answer_2(values, seen):
    return torch.nanmean(values.masked_fill(~seen.bool(), torch.nan), dim=1).nan_to_num()
# 3 wrong | right on the given input, but not on another
def answer_3(name):
    out = Path(tempfile.mkdtemp())
    train(settings_of("quick", **TINY), out, progress=False)  # the line is not changed
    return pd.read_csv(out / "log.csv")["simulated"].iloc[-1]
# 3 wrong | off by a factor
def answer_3(name):
    out = Path(tempfile.mkdtemp())
    train(settings_of("quick", **TINY, first_guess={"name": name}), out, progress=False)
    return pd.read_csv(out / "log.csv")["loss"].iloc[-1]
# 3 right
guess_3 = "gaussian"
def answer_3(name):
    settings = settings_of("quick", first_guess={"name": name}, **TINY)
    out = Path(tempfile.mkdtemp())
    train(settings, out, progress=False)
    last = (out / "log.csv").read_text().splitlines()
    return float(dict(zip(last[0].split(","), last[-1].split(",")))["simulated"])
