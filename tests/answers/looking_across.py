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
# 2 wrong | not on another
def answer_2(place):
    with torch.no_grad():
        return rmse(filler(maps[test], known[test])[0], test)
# 2 wrong | off by a factor
def answer_2(place):
    with torch.no_grad():
        return rmse(filler(maps[train[:99]], known[train[:99]], place=place)[0], train[:99])
# 2 right
guess_2 = "as good"
def answer_2(place):
    filler.eval()
    guess = filler(maps[test], known[test], place=place)[0].detach()
    wrong = (guess - maps[test])[asked[test]].numpy()
    return np.sqrt(np.mean(wrong.astype(float) ** 2))
# 3 wrong | off by a factor
def answer_3(address):
    torch.manual_seed(0)
    other = GapFiller(address)  # and no training
    with torch.no_grad():
        return rmse(other(maps[test], known[test])[0], test).item()
# 3 wrong | off by a factor
def answer_3(address):
    torch.manual_seed(0)
    other = GapFiller()  # the address is not used
    fit(other)
    with torch.no_grad():
        return rmse(other(maps[test], known[test])[0], test).item()
# 3 right
guess_3 = "in between"
def answer_3(address):
    torch.manual_seed(0)
    other = GapFiller()
    other.address = address
    fit(other)
    wrong = (other(maps[test], known[test])[0] - maps[test])[asked[test]].detach()
    return float(wrong.square().mean()) ** 0.5
