# ruff: noqa
# 1 wrong | right on the given input, but not on another
def answer_1(seconds, rmse, slack):
    near = np.flatnonzero(np.abs(rmse - rmse[-1]) <= slack)
    return seconds[near[0]]  # it may leave again
# 1 wrong | off by a factor
def answer_1(seconds, rmse, slack):
    far = np.flatnonzero(np.abs(rmse - rmse[-1]) > slack)
    return seconds[far[-1]] if far.size else seconds[0]  # one row too early
# 1 wrong | off by a factor
def answer_1(seconds, rmse, slack):
    return seconds[np.argmin(rmse)]
# 1 right
def answer_1(seconds, rmse, slack):
    found = seconds[-1]
    for second, error in zip(seconds[::-1], rmse[::-1]):
        if abs(error - rmse[-1]) > slack:
            return found
        found = second
    return found
# 2 wrong | off by a factor
def answer_2(a, b, cells):
    return np.mean(a < b)  # months won, none drawn
# 2 wrong | off by a factor
def answer_2(a, b, cells):
    rng = np.random.default_rng(0)
    i, j = rng.integers(0, 24, (2, 1000, 24))  # other months for each
    return np.mean(a[i].sum(1) / cells[i].sum(1) < b[j].sum(1) / cells[j].sum(1))
# 2 wrong | right on the given input, but not on another
def answer_2(a, b, cells):
    i = np.random.default_rng(0).integers(0, 24, (1000, 24))
    return np.mean(np.sqrt(a / cells)[i].mean(1) < np.sqrt(b / cells)[i].mean(1))  # not pooled
# 2 right
def answer_2(a, b, cells):
    rng = np.random.default_rng(0)
    draws = [rng.choice(24, 24) for _ in range(1000)]
    return sum(a[i].sum() < b[i].sum() for i in draws) / 1000  # the same cells
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
