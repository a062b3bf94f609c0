# ruff: noqa
# 1 wrong | off by a factor
def answer_1(hand, dim):
    return 2 * math.pi * 10000 ** (hand / dim)
# 1 wrong | off by a factor of 0.159
def answer_1(hand, dim):
    return 10000 ** (2 * hand / dim)
# 1 right
def answer_1(hand, dim):
    return math.tau / math.exp(-2 * hand / dim * math.log(10000))
# 2 wrong | right on the given input, but not on another: it stops with
def answer_2(mark, table):
    return int((table == mark).all(dim=1).nonzero()[0])
# 2 wrong | off by a factor
def answer_2(mark, table):
    return int((table - mark).norm(dim=0).argmin())
# 2 right
def answer_2(mark, table):
    return int((table @ mark).argmax())
# 3 wrong | it is zero
def answer_3(base):
    day, omega = torch.arange(31.0)[:, None], float(base) ** (-torch.arange(0, 128, 2) / 128)
    table = torch.cat([torch.sin(day * omega), torch.cos(day * omega)], 1)
    return torch.cdist(table, table).min()  # the diagonal
# 3 wrong | right on the given input, but not on another
def answer_3(base):
    return torch.cdist(pe, pe)[lag > 0].min()
# 3 right
guess_3 = 10000
def answer_3(base):
    omega = 1 / base ** (np.arange(64) / 64)
    gap = np.arange(1, 31)[:, None]  # the distance knows the lag alone
    return np.sqrt((2 - 2 * np.cos(gap * omega)).sum(1).min())
