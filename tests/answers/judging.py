# ruff: noqa
# 1 wrong | entries are wrong
def answer_1(available, clouds, shift):
    return available & np.roll(clouds, -shift, axis=0)
# 1 wrong | entries are wrong
def answer_1(available, clouds, shift):
    return np.roll(clouds, shift, axis=0)
# 1 wrong | entries are wrong
def answer_1(available, clouds, shift):
    return available & clouds
# 1 right
def answer_1(available, clouds, shift):
    earlier = (np.arange(len(clouds)) - shift) % len(clouds)
    return np.logical_and(clouds[earlier], available)
# 2 wrong | off by a factor
def answer_2(estimate, truth, ocean):
    return rmse(gradient_errors(estimate, truth, np.ones_like(ocean)))
# 2 wrong | off by a factor
def answer_2(estimate, truth, ocean):
    return rmse((estimate - truth)[ocean])
# 2 wrong | off by a factor
def answer_2(estimate, truth, ocean):
    return np.abs(gradient_errors(estimate, truth, ocean)).mean()
# 2 right
guess_2 = "sharp"
def answer_2(estimate, truth, ocean):
    wrong = np.where(ocean, estimate - truth, np.nan)
    steps = np.concatenate([np.diff(wrong, axis=axis).ravel() for axis in (0, 1)])
    return np.sqrt(np.nanmean(steps**2))
# 3 wrong | it is wrong in
def answer_3(a, b):
    rng, n = np.random.default_rng(0), len(a[0])
    differences = []
    for _ in range(1000):
        i = (rng.integers(0, n, n // 3)[:, None] + np.arange(3)) % n  # the same for both
        differences.append(np.sqrt(a[0][i].sum() / a[1][i].sum())
                           - np.sqrt(b[0][i].sum() / b[1][i].sum()))
    return np.quantile(differences, [0.025, 0.975])
# 3 wrong | off by a factor
def answer_3(a, b):
    rng, n = np.random.default_rng(0), len(a[0])

    def draw(squares, cells):
        i = (rng.integers(0, n, n // 3)[:, None] + np.arange(3)) % n
        return squares[i].sum() / cells[i].sum()  # no root

    return np.quantile([draw(*a) - draw(*b) for _ in range(1000)], [0.025, 0.975])
# 3 right
def answer_3(a, b):
    rng, n = np.random.default_rng(7), len(a[0])
    roots = []
    for squares, cells in (a, b):
        i = (rng.integers(0, n, (1000, n // 3, 1)) + np.arange(3)) % n
        roots.append(np.sqrt(squares[i].sum((1, 2)) / cells[i].sum((1, 2))))
    return np.quantile(roots[0] - roots[1], [0.025, 0.975])
