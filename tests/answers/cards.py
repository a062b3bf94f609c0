# ruff: noqa
# 1 wrong | entries are wrong
def answer_1(rows, cols):
    row, col = np.divmod(np.arange(rows * cols), cols)
    return np.maximum(abs(row[:, None] - row), abs(col[:, None] - col)) <= 1  # the other polarity
# 1 wrong | entries are wrong
def answer_1(rows, cols):
    place = np.arange(rows * cols)
    return abs(place[:, None] - place) > 1  # the end of a row is no neighbour of the next
# 1 right
def answer_1(rows, cols):
    mask = np.ones((rows, cols, rows, cols), dtype=bool)
    for r in range(rows):
        for c in range(cols):
            mask[r, c, max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2] = False
    return mask.reshape(rows * cols, rows * cols)
# 2 wrong | off by a factor
def answer_2(errors):
    return 1 / len(errors)  # that of the root of each month
# 2 wrong | off by a factor
def answer_2(errors):
    square = (errors**2).sum(1)
    return square.max() / square.sum()  # of the loss, not of the gradient
# 2 right
def answer_2(errors):
    e = torch.tensor(errors, requires_grad=True)
    e.square().mean().sqrt().backward()
    length = e.grad.norm(dim=1)
    return float(length.max() / length.sum())
# 3 wrong | off by a factor
def answer_3(n, level):
    return n * (1 - level)  # they may ring together
# 3 wrong | off by a factor
def answer_3(n, level):
    return 1 - level
# 3 right
guess_3 = "about half"
def answer_3(n, level):
    none = 1.0
    for _ in range(n):
        none *= level
    return 1 - none
