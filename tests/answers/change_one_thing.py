# ruff: noqa
# 1 wrong | off by a factor
def answer_1(a, b):
    both = np.concatenate([a - a.mean(), b - b.mean()])
    return both.std() * np.sqrt(1 / len(a) + 1 / len(b))
# 1 wrong | off by a factor
def answer_1(a, b):
    both = np.concatenate([a - a.mean(), b - b.mean()])
    return np.sqrt((both**2).sum() / (len(both) - 2))  # of a run
# 1 right
def answer_1(a, b):
    of_a, of_b = ((x - x.mean()) @ (x - x.mean()) for x in (a, b))
    n, m = len(a), len(b)
    return ((of_a + of_b) / (n + m - 2) * (n + m) / (n * m)) ** 0.5
# 2 wrong | off by a factor
def answer_2(a, b):
    return rings(a, b).mean()  # one look, at all ten
# 2 wrong | off by a factor
def answer_2(a, b):
    return sum(rings(a[:, :n], b).mean() for n in range(3, 11))
# 2 right
guess_2 = "10 to 30"
def answer_2(a, b):
    rung = np.zeros(len(a), dtype=bool)
    for n in range(3, 11):
        rung |= rings(a[:, :n], b)
    return float(rung.mean())
# 3 wrong | it says True
def answer_3(n, m, r):
    return 2 * (1 - r) / n < 1 / n + 1 / m  # without the t
# 3 wrong | it says True
def answer_3(n, m, r):
    return t(n - 1) * np.sqrt((1 - r) / n) > t(n + m - 2) * np.sqrt(1 / n + 1 / m)
# 3 right
def answer_3(n, m, r):
    share = 2 * (1 - r) / n / (1 / n + 1 / m)
    return share < (t(n + m - 2) / t(n - 1)) ** 2
# 4 wrong | it is wrong in
def answer_4(x, sea):
    return nine(x * sea) / 9 * sea  # land counts as cells of 0
# 4 wrong | right on the given input, but not on another
def answer_4(x, sea):
    return (nine(x) / nine(torch.ones_like(x))) * sea  # land's values count
# 4 wrong | the same number everywhere
def answer_4(x, sea):
    return nine(x * sea) / nine(sea.float()).clamp_min(1)  # land is not 0
# 4 right
def answer_4(x, sea):
    kernel = torch.ones(1, 1, 3, 3)
    total, count = (torch.nn.functional.conv2d(f[:, None], kernel, padding=1)[:, 0]
                    for f in (torch.where(sea, x, 0.0), sea.float()))
    return torch.where(sea, total / count.clamp_min(1e-6), 0.0)
