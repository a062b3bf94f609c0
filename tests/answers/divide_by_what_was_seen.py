# ruff: noqa
# 1 wrong | it is NaN
def answer_1(value, seen, width, noise):
    kernel = torch.exp(-0.5 * (distances(len(value)) / width) ** 2)
    return kernel @ (value * seen) / (kernel @ seen.double() + noise)
# 1 wrong | it is wrong in
def answer_1(value, seen, width, noise):
    kernel = torch.exp(-0.5 * (distances(len(value)) / width) ** 2)
    return kernel @ value.nan_to_num() / (kernel.sum(1) + noise)
# 1 right
def answer_1(value, seen, width, noise):
    place = torch.arange(len(value)).double()
    total, count = torch.zeros(len(value)).double(), torch.full((len(value),), noise).double()
    for j in torch.where(seen)[0]:
        k = torch.exp(-((place - j) ** 2) / (2 * width**2))
        total, count = total + k * value[j], count + k
    return total / count
# 2 wrong | right on the given input, but not on another
def answer_2(widths, memories):
    analysis = torch.zeros_like(x)
    for cells, days in sorted(zip(widths, memories), reverse=True):
        analysis = correct(analysis, cells, days)
    return error(month_map(analysis))
# 2 wrong | off by a factor
def answer_2(widths, memories):
    analysis = torch.zeros_like(x)
    for cells, days in zip(widths, memories):
        analysis = analysis + 1.5 * divided(x, cells, days)
    return error(month_map(analysis))
# 2 right
guess_2 = "coarse to fine"
def answer_2(widths, memories):
    analysis = 0 * x
    for k in range(len(widths)):
        misfit = (x - analysis) * observed
        total, count = (spread(v, widths[k], memories[k]) for v in (misfit, observed.double()))
        analysis = analysis + 1.5 * total / (count + 0.6)
    return np.sqrt(np.square((month_map(analysis) - truth.values)[ocean]).mean())
# 3 wrong | right on the given input, but not on another
def answer_3(kernel, seen, noise):
    return noise / (seen.sum() + noise) * torch.ones(len(kernel))
# 3 wrong | it is wrong in
def answer_3(kernel, seen, noise):
    return noise / (kernel.sum(1) + noise)
# 3 right
def answer_3(kernel, seen, noise):
    scores = torch.where(seen, kernel.log(), -torch.inf)
    null = torch.full((len(kernel), 1), np.log(noise))
    return torch.cat([scores, null], 1).softmax(1)[:, -1]
