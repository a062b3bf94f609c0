# ruff: noqa
# 1 wrong | off by a factor of 1.09
def answer_1(r):
    return C(r) / C(0)
# 1 wrong | right on the given input, but not on another
def answer_1(r):
    return C(r) / (C(r) + covariance.noise_variance)
# 1 right
def answer_1(r):
    return np.linalg.solve([[C(0) + 0.09]], [C(r)])[0]
# 2 wrong | off by a factor
def answer_2(n):
    return np.sqrt(0.09 / n)
# 2 wrong | it is the square of what it should be
def answer_2(n):
    return 1 / (1 / C(0) + n / 0.09)
# 2 wrong | right on the given input, but not on another
def answer_2(n):
    return np.sqrt(1 / (1 / C(0) + 1 / 0.09))
# 2 right
def answer_2(n):
    if n == 0:
        return 1.0
    full = np.full((n, n), C(0)) + 0.09 * np.eye(n)
    return np.sqrt(C(0) - np.linalg.solve(full, np.full(n, C(0))).sum() * C(0))
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
