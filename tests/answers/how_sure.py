# ruff: noqa
# 1 wrong | off by a factor
def answer_1(error, sd, other):
    return other * np.mean(np.abs(error / sd))  # not the spread
# 1 wrong | off by a factor
def answer_1(error, sd, other):
    return other / np.sqrt(np.mean((error / sd) ** 2))
# 1 right
def answer_1(error, sd, other):
    z = error / sd
    return np.asarray(other) * (z @ z / len(z)) ** 0.5
# 2 wrong | off by a factor
def answer_2(error, sd):
    return np.sqrt(np.mean((error.mean(1) / np.sqrt((sd**2).sum(1))) ** 2))  # of a sum
# 2 wrong | off by a factor
def answer_2(error, sd):
    return np.sqrt(np.mean((error / sd) ** 2))  # of a pixel
# 2 right
guess_2 = "more than 4"
def answer_2(error, sd):
    cells = sd.shape[1]
    ratio = error.sum(1) / (sd**2).sum(1) ** 0.5
    return float((ratio @ ratio / len(ratio)) ** 0.5)
# 3 wrong | its shape is
def answer_3(sst, sd, limit):
    return float(np.mean(1 - stats.norm.cdf((limit - sst) / sd)))
# 3 wrong | it is wrong
def answer_3(sst, sd, limit):
    return stats.norm.cdf((limit - sst) / sd)  # below the limit
# 3 right
def answer_3(sst, sd, limit):
    return stats.norm.sf(limit, loc=sst, scale=sd)
