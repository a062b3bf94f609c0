# ruff: noqa
# 1 wrong | off by a factor
def answer_1(before, after, noise):
    return 1 - after / before  # the noise is still in both
# 1 wrong | off by a factor
def answer_1(before, after, noise):
    return 1 - (after - noise) / (before - noise)
# 1 wrong | off by a factor
def answer_1(before, after, noise):
    return 1 - (after**2 - noise**2) / (before**2 - noise**2)  # of squares
# 1 right
def answer_1(before, after, noise):
    return 1 - ((after**2 - noise**2) / (before**2 - noise**2)) ** 0.5
# 2 wrong | it is NaN in
def answer_2(answer, target):
    known = target.isfinite()
    return torch.where(known, (answer - target) ** 2, 0.0).sum().div(known.sum()).sqrt()
# 2 wrong | off by a factor
def answer_2(answer, target):
    known = target.isfinite()
    error = answer - torch.nan_to_num(target)
    return (error**2 * known).mean().sqrt()  # gaps count as right
# 2 right
def answer_2(answer, target):
    known = ~target.isnan()
    return (answer[known] - target[known]).square().mean().sqrt()
# 3 wrong | right on the given input, but not on another
def answer_3(seen):
    n = len(seen)  # days that saw nothing count too
    judged = n - round(n / 4)
    return judged - round(judged / 4), judged
# 3 wrong | it is wrong in 50%
def answer_3(seen):
    days = np.flatnonzero(seen)
    n = round(len(days) / 4)
    return days[-3 * n], days[-n]
# 3 right
def answer_3(seen):
    days = [d for d, n in enumerate(seen) if n > 0]
    a = len(days) - round(len(days) / 4)
    return days[a - round(a / 4)], days[a]
# 4 wrong | off by a factor
def answer_4(estimator):
    with torch.no_grad():
        error = estimator(*homework.inputs).mean - homework.target
    return error.square().mean((1, 2)).sqrt().mean().item()  # a mean of RMSEs
# 4 wrong | off by a factor
def answer_4(estimator):
    with torch.no_grad():
        error = estimator(*homework.inputs).mean - homework.target
    return error[homework.ocean].abs().mean().item()
# 4 right
guess_4 = "worse"
def answer_4(estimator):
    with torch.no_grad():
        answer = estimator(*homework.inputs).mean
    square = (answer - homework.target) ** 2 * homework.ocean
    return float((square.sum() / homework.ocean.sum()) ** 0.5)
