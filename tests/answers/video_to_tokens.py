# ruff: noqa
# 1 wrong | off by a factor
def answer_1(day, row, column, rows, columns):
    return (day * rows + column) * columns + row
# 1 wrong | right on the given input, but not on another
def answer_1(day, row, column, rows, columns):
    return (day * 16 + row) * 16 + column
# 1 right
def answer_1(day, row, column, rows, columns):
    return int(np.ravel_multi_index((day, row, column), (day + 1, rows, columns)))
# 2 wrong | right on the given input, but not on another
def answer_2(x, missing):
    return int((x.isnan() & ~missing).sum())
# 2 wrong | wrong
def answer_2(x, missing):
    return int((~x.isfinite()).sum())
# 2 right
def answer_2(x, missing):
    return sum(not math.isfinite(v) for v in x[~missing].tolist())
import math
# 3 wrong | right on the given input, but not on another
def answer_3(encoder):
    return 2
# 3 wrong | off by a factor
def answer_3(encoder):
    for k in range(17):
        hidden = torch.arange(16).view(1, 1, 1, 4, 4) >= k
        with torch.no_grad():
            token, full = (encoder(torch.ones(1, 1, 1, 4, 4), h)[0, 0]
                           for h in (hidden, torch.zeros_like(hidden)))
        if (token - full).norm() < 0.5 * full.norm():  # compared with nothing
            return k
# 3 wrong | off by a factor
def answer_3(encoder):
    return 8
# 3 right
guess_3 = "half"
def answer_3(encoder):
    def token(k):
        hidden = (torch.arange(16) >= k).view(1, 1, 1, 4, 4)
        with torch.no_grad():
            return encoder(torch.ones(1, 1, 1, 4, 4), hidden)[0, 0]
    k = 0
    while (token(k) - token(16)).norm() >= (token(k) - token(0)).norm():
        k += 1
    return k
# 4 wrong | it is NaN
def answer_4(encoder, x, mask):
    both = torch.cat([x * ~mask, (~mask).float()], dim=1)
    return encoder.norm(encoder.proj(both).flatten(2).transpose(1, 2))
# 4 wrong | it is wrong in
def answer_4(encoder, x, mask):
    both = torch.cat([x.masked_fill(mask, 0.0), (~mask).float()], dim=1)
    out = encoder.proj(both)
    return encoder.norm(out.reshape(len(x), -1, out.shape[1]))  # no transpose
# 4 wrong | right on the given input, but not on another
def answer_4(encoder, x, mask):
    pairs = [part for c in range(x.shape[1]) for part in
             (x[:, c].masked_fill(mask[:, c], 0.0), (~mask[:, c]).float())]
    out = encoder.proj(torch.stack(pairs, dim=1))  # value, flag, value, flag
    return encoder.norm(out.flatten(2).transpose(1, 2))
# 4 right
def answer_4(encoder, x, mask):
    both = torch.cat([torch.where(mask, torch.zeros(()), x), 1.0 - mask.float()], 1)
    return encoder.norm(encoder.proj(both).permute(0, 2, 3, 4, 1)).flatten(1, 3)
