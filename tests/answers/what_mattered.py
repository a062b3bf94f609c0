# ruff: noqa
# 1 wrong | right on the given input, but not on another
def answer_1(low, high, small):
    if low > 0 or high < 0:
        return 1  # asked first
    return -1 if max(abs(low), abs(high)) <= small else 0
# 1 wrong | right on the given input, but not on another
def answer_1(low, high, small):
    if abs(low + high) / 2 <= small:  # the middle is small
        return -1
    return 1 if low > 0 or high < 0 else 0
# 1 right
def answer_1(low, high, small):
    if -small <= low and high <= small:
        return -1
    return int(low * high > 0)
# 2 wrong | off by a factor
def answer_2(a, b):
    return np.corrcoef(a, b)[0, 1]
# 2 wrong | right on the given input, but not on another
def answer_2(a, b):
    return np.corrcoef(np.argsort(a), np.argsort(b))[0, 1]  # who is where, not which rank
# 2 right
def answer_2(a, b):
    n, d = len(a), ranks(a) - ranks(b)
    return 1 - 6 * (d**2).sum() / (n * (n**2 - 1))
# 3 wrong | off by a factor
def answer_3(small, large, limit):
    return np.corrcoef(ranks(small), ranks(large))[0, 1]
# 3 wrong | off by a factor
def answer_3(small, large, limit):
    rest = np.abs(large) <= limit
    return np.corrcoef(small[rest], large[rest])[0, 1]  # not of ranks
# 3 right
guess_3 = "0.3 to 0.8"
def answer_3(small, large, limit):
    rest = [i for i, x in enumerate(large) if -limit <= x <= limit]
    d = ranks(small[rest]) - ranks(large[rest])
    return 1 - 6 * (d**2).sum() / (len(rest) * (len(rest) ** 2 - 1))
