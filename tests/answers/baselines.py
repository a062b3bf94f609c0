# ruff: noqa
# 1 wrong | it is off by a factor of 0.913
def answer_1(w):
    return np.sqrt(C(0) - w @ c)  # holds for the best weights only
# 1 wrong | it is the square of what it should be
def answer_1(w):
    return C(0) - 2 * w @ c + w @ matrix @ w
# 1 wrong | off by a factor
def answer_1(w):
    noise_free = C(where[:, None] - where)
    return np.sqrt(C(0) - 2 * w @ c + w @ noise_free @ w)
# 1 right
def answer_1(w):
    miss = np.append(1.0, -w)  # of the target and the three, together
    places = np.append(target, where)
    full = C(places[:, None] - places) + np.diag([0, 0.09, 0.09, 0.09])
    return np.sqrt(miss @ full @ miss)
# 2 wrong | right on the given input, but not on another
def answer_2(n, shared):
    return np.sqrt(1 / (1 / C(0) + n / 0.09))  # all of it fresh
# 2 wrong | off by a factor
def answer_2(n, shared):
    noise = 0.09 * (shared + np.eye(n))  # the fresh part is not made smaller
    alike = np.full(n, C(0))
    return np.sqrt(C(0) - np.linalg.solve(C(0) + noise, alike) @ alike)
# 2 wrong | off by a factor
def answer_2(n, shared):
    return np.sqrt(0.09 * (shared + (1 - shared) / n))  # no prior
# 2 right
guess_2 = "0.03"
def answer_2(n, shared):
    of_the_mean = 0.09 * (shared + (1 - shared) / n)
    return (1 / C(0) + 1 / of_the_mean) ** -0.5
# 3 wrong | right on the given input, but not on another
def answer_3(noise_variance):
    return error(optimal_interpolation(month))
# 3 wrong | off by a factor
def answer_3(noise_variance):
    other = replace(covariance, noise_variance=noise_variance**0.5)
    return error(optimal_interpolation(month, other))
# 3 right
guess_3 = "a tenth"
def answer_3(noise_variance):
    d = Covariance()
    other = Covariance(d.short_variance, d.short_cells, d.short_days, d.long_variance,
                       d.long_cells, d.long_days, noise_variance)
    wrong = (optimal_interpolation(month, other) - truth.values)[ocean]
    return np.sqrt((wrong**2).mean())
# 4 wrong | it is wrong in
def answer_4(month):
    return optimal_interpolation(month)
# 4 wrong | it is wrong in
def answer_4(month):
    return optimal_interpolation(Month(month.sst, month.ocean, month.prior + 3.0 + 0.1905))
# 4 wrong | it stops with ValueError
def answer_4(month):
    return optimal_interpolation(Month(month.sst, month.ocean, month.prior + month.anomaly.mean()))
# 4 right
def answer_4(month):
    shift = np.nanmean(month.sst - month.prior)
    other = Month(month.sst - shift, month.ocean, month.prior)
    return optimal_interpolation(other) + shift
