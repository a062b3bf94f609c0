# ruff: noqa
# 1 wrong | off by a factor
def answer_1(n, D, ratio):
    return 1 / (1 - ratio)  # the pairs are forgotten
# 1 wrong | off by a factor
def answer_1(n, D, ratio):
    return 1 / (1 - ratio) ** 2  # the matrices are forgotten
# 1 wrong | off by a factor
def answer_1(n, D, ratio):
    few = ratio * n  # what is dropped, not what is left
    return (12 * n * D**2 + 2 * n**2 * D) / (12 * few * D**2 + 2 * few**2 * D)
# 1 right
def answer_1(n, D, ratio):
    cost = lambda m: 6 * m * D + m**2
    return cost(n) / cost(n - ratio * n)
# 2 wrong | right on the given input, but not on another
def answer_2(score, seen, places):
    return (score <= score.sort().values[places - 1]).expand(len(seen), -1)  # unseen ones too
# 2 wrong | entries are wrong
def answer_2(score, seen, places):
    chosen = torch.zeros(len(score), dtype=torch.bool)
    chosen[score.argsort(descending=True)[:places]] = True  # the highest
    return chosen & seen
# 2 right
def answer_2(score, seen, places):
    rank = score.argsort().argsort()
    return (rank < places)[None] & seen
# 3 wrong | off by a factor
def answer_3(guess, truth):
    known = truth.isfinite()
    return torch.where(known, (guess - truth) ** 2, 0.0).mean()  # gaps count as right
# 3 wrong | NaN
def answer_3(guess, truth):
    return ((guess - truth) ** 2 * truth.isfinite()).sum() / truth.isfinite().sum()
# 3 right
def answer_3(guess, truth):
    known = ~truth.isnan()
    return (torch.where(known, guess - truth, 0.0) ** 2).sum() / known.sum()
# 4 wrong | off by a factor
def answer_4(x, hidden):
    before = torch.zeros_like(x)
    before[1:] = x[:-1]  # also where it was hidden
    return (before - x)[hidden].square().mean().sqrt()
# 4 wrong | off by a factor
def answer_4(x, hidden):
    before = torch.zeros_like(x)
    before[1:] = torch.where(hidden[:-1], 0.0, x[:-1])
    return (before - x).square().mean().sqrt()  # of all tokens
# 4 right
guess_4 = "tube"
def answer_4(x, hidden):
    kept = x * ~hidden
    before = torch.cat([torch.zeros_like(x[:1]), kept[:-1]])
    square = (before - x) ** 2
    return (square * hidden).sum().div(hidden.sum()).sqrt()
