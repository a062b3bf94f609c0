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
# 2 wrong | off by a factor
def answer_2(width, gigabytes):
    height = 24 * int(gigabytes * 1e9 / (31 * 4 * width) // 24)  # the halo is read as well
    return height, (height + 31) / height
# 2 wrong | off by a factor
def answer_2(width, gigabytes):
    height = gigabytes * 1e9 / (31 * 4 * width) - 31  # no multiple of 24
    return height, (height + 31) / height
# 2 right
def answer_2(width, gigabytes):
    height = 24
    while 31 * 4 * (height + 24 + 31) * width <= 1e9 * gigabytes:
        height += 24
    return height, 1 + 31 / height
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
