# ruff: noqa
# 1 wrong | off by a factor
def answer_1(side):
    return everything
# 1 wrong | off by a factor
def answer_1(side):
    x = torch.zeros(1, 1, 1, side, side)  # one day
    return count_flops(model, x, x.bool()).get_total_flops()
# 1 right
def answer_1(side):
    blank = torch.zeros(1, 1, 31, side, side, dtype=torch.bool)
    of = count_flops(model, torch.randn(1, 1, 31, side, side), blank).get_flop_counts()
    return sum(of["SpatioTemporalModel"].values())
# 2 wrong | not on another: it says True
def answer_2(model):
    absent = torch.zeros(1, T, dtype=torch.bool)
    absent[:, -3:] = True
    with torch.no_grad():
        a, b = (model(x_all[:1], hidden_all[:1], shore, absent) for _ in range(2))
    return torch.equal(a, b)
# 2 wrong | it says False
def answer_2(model):
    other = x_all[:1].clone()
    other[:, :, -3:] = 99.0
    with torch.no_grad():
        return torch.equal(model(x_all[:1], hidden_all[:1], shore),
                           model(other, hidden_all[:1], shore))
# 2 right
def answer_2(model):
    absent = torch.arange(T)[None] >= T - 3
    hidden = hidden_all[:1].clone()
    hidden[:, :, -3:] = False
    with torch.no_grad():
        maps = [model(torch.cat([x_all[:1, :, :-3], torch.full((1, 1, 3, 32, 32), v)], 2),
                      hidden, shore, absent) for v in (0.0, 50.0)]
    return torch.allclose(*maps)
# 3 wrong | not on another
def answer_3(x, hidden):
    return bool(x.mean().abs() < 1)
# 3 wrong | not on another
def answer_3(x, hidden):
    return bool(x[~hidden].mean() < 1 and x[~hidden].std() < 5)  # no absolute value
# 3 wrong | not on another
def answer_3(x, hidden):
    return bool(x[~hidden].mean().abs() < 1)  # no spread
# 3 right
def answer_3(x, hidden):
    seen_of_x = (~hidden).float()
    mean = (x * seen_of_x).sum() / seen_of_x.sum()
    spread = ((x - mean).square() * seen_of_x).sum() / seen_of_x.sum()
    return bool(-1 < mean < 1 and spread < 25)
# 4 wrong | wrong in
def answer_4(m):
    m.spatial_pe.rows.zero_()
    return m
# 4 wrong | wrong in
def answer_4(m):
    m.temporal.pos.pe.zero_()  # the days
    return m
# 4 right
guess_4 = "overfit"
def answer_4(m):
    m.spatial_pe.register_forward_hook(lambda m, i, o: torch.zeros_like(o))
    return m
