# ruff: noqa
# 1 wrong | NaN
def answer_1(stored, scale, offset, fill):
    return stored * float(scale) + offset - 273.15  # the fill stays a number
# 1 wrong | off
def answer_1(stored, scale, offset, fill):
    return np.where(stored == fill, np.nan, stored * float(scale) + offset)  # kelvin
# 1 right
def answer_1(stored, scale, offset, fill):
    celsius = stored.astype(float) * scale + offset - 273.15
    celsius[stored == fill] = np.nan
    return celsius
# 2 wrong | right on the given input, but not on another
def answer_2(values, near=0.5):
    found, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return found[counts.argmax()]  # the most common, code or not
# 2 wrong | NaN
def answer_2(values, near=0.5):
    found, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    code, often = found[counts.argmax()], counts.max()
    beside = counts[np.abs(found - code) <= near].sum()  # itself among them
    return code if often > 10 * beside else np.nan
# 2 right
def answer_2(values, near=0.5):
    from collections import Counter

    counts = Counter(values[np.isfinite(values)].tolist())
    code, often = counts.most_common(1)[0]
    beside = sum(n for value, n in counts.items() if 0 < abs(value - code) <= near)
    return code if often > 10 * beside else float("nan")
# 3 wrong | off
def answer_3(hidden):
    seen = np.where(hidden, np.nan, clean)
    return np.sqrt(np.mean((np.nanmean(seen) - clean)[hidden] ** 2))  # no neighbours
# 3 wrong | off
def answer_3(hidden):
    wide = np.pad(clean, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)  # nothing is hidden
    four = np.stack([wide[:, :-2, 1:-1], wide[:, 2:, 1:-1],
                     wide[:, 1:-1, :-2], wide[:, 1:-1, 2:]])
    known = np.isfinite(four)
    mean = np.where(known, four, 0).sum(0) / np.maximum(known.sum(0), 1)
    guess = np.where(known.any(0), mean, np.nanmean(clean))
    return np.sqrt(np.mean((guess - clean)[hidden] ** 2))
# 3 right
guess_3 = "better"
def answer_3(hidden):
    seen = np.where(hidden, np.nan, clean)
    T, H, W = seen.shape
    total, number = np.zeros(seen.shape), np.zeros(seen.shape)
    for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        moved = np.full(seen.shape, np.nan)
        moved[:, max(dy, 0):H + min(dy, 0), max(dx, 0):W + min(dx, 0)] = seen[
            :, max(-dy, 0):H + min(-dy, 0), max(-dx, 0):W + min(-dx, 0)]
        total += np.nan_to_num(moved)
        number += np.isfinite(moved)
    guess = np.where(number > 0, total / np.maximum(number, 1), np.nanmean(seen))
    return float(np.sqrt(np.mean((guess[hidden] - clean[hidden]) ** 2)))
