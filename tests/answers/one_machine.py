# ruff: noqa
# 1 wrong | off
def answer_1(starts, first, after):
    return first, after  # no halo
# 1 wrong | right on the given input, but not on another
def answer_1(starts, first, after):
    mine = [s for s in starts if s >= first and s < after]  # only those that begin inside
    return mine[0], mine[-1] + 32
# 1 right
def answer_1(starts, first, after):
    starts = np.array(starts)
    mine = starts[(starts + 31 >= first) & (starts <= after - 1)]
    return int(mine.min()), int(mine.max()) + 32
# 2 wrong | entries
def answer_2(height, width):
    return (height + 31) / height, 31 * 4 * height * width / 1e9  # the halo is read as well
# 2 wrong | entries
def answer_2(height, width):
    return height / (height + 31), 31 * 4 * (height + 31) * width / 1e9
# 2 right
def answer_2(height, width):
    read = height + 31
    return (read / 24) / (height / 24), read * width * 31 * 4 * 1e-9
# 3 wrong | off
def answer_3(workers):
    return 20 + 20 * 480 / workers  # parts of a month
# 3 wrong | off
def answer_3(workers):
    return 20 * -(-480 // workers)  # without the start
# 3 right
guess_3 = "less than 3"
def answer_3(workers):
    import math

    return 20 * (1 + math.ceil(480 / workers))
