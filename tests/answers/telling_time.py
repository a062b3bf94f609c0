# ruff: noqa
# 1 wrong | it is wrong in
def answer_1(mark, k):
    sine, cosine = mark[0::2], mark[1::2]
    return torch.stack([sine * torch.cos(k * omega) - cosine * torch.sin(k * omega),
                        cosine * torch.cos(k * omega) + sine * torch.sin(k * omega)], 1).flatten()
# 1 wrong | it is wrong in
def answer_1(mark, k):
    sine, cosine = mark[:64], mark[64:]  # halves, not every other one
    return torch.cat([sine * torch.cos(k * omega) + cosine * torch.sin(k * omega),
                      cosine * torch.cos(k * omega) - sine * torch.sin(k * omega)])
# 1 wrong | it is wrong in
def answer_1(mark, k):
    return mark + pe[k]  # a step is no sum
# 1 wrong | right on the given input, but not on another: it stops with IndexError
def answer_1(mark, k):
    return pe[int((pe - mark).norm(dim=1).argmin()) + k]
# 1 right
def answer_1(mark, k):
    hand = torch.complex(mark[1::2], mark[0::2]) * torch.exp(1j * k * omega)
    return torch.stack([hand.imag, hand.real], 1).flatten()
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
