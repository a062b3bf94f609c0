# ruff: noqa
# 1 wrong | off by a factor of 0.556
def answer_1(scores, land):
    return scores.softmax(dim=1) * ~land  # the rows no longer add up to 1
# 1 wrong | NaN
def answer_1(scores, land):
    return scores.masked_fill(land[:, None], -torch.inf).softmax(dim=1)
# 1 wrong | it is wrong in
def answer_1(scores, land):
    return scores.masked_fill(land, 0.0).softmax(dim=1)
# 1 right
def answer_1(scores, land):
    weights = scores.softmax(dim=1) * ~land
    return weights / weights.sum(1, keepdim=True)
# 2 wrong | off by a factor
def answer_2(n):
    return n / (n + 1)
# 2 wrong | off by a factor
def answer_2(n):
    return (n - 1) / n
# 2 wrong | not on another
def answer_2(n):
    return 5 / 7
# 2 right
def answer_2(n):
    return guess_by_head(torch.tensor([2.0] * n + [6.0]), torch.tensor([1.0] * n + [-1.0]))
# 3 wrong | not on another
def answer_3(place):
    with torch.no_grad():
        return rmse(filler(maps[test], known[test])[0], test)
# 3 wrong | off by a factor
def answer_3(place):
    with torch.no_grad():
        return rmse(filler(maps[train[:99]], known[train[:99]], place=place)[0], train[:99])
# 3 right
guess_3 = "as good"
def answer_3(place):
    filler.eval()
    guess = filler(maps[test], known[test], place=place)[0].detach()
    wrong = (guess - maps[test])[asked[test]].numpy()
    return np.sqrt(np.mean(wrong.astype(float) ** 2))
