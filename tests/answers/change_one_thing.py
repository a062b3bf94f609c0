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
