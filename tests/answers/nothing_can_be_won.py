# ruff: noqa
# 1 wrong | the square of what it should be
def answer_1(c, sigma):
    return 1 - c**2 / (1 + sigma**2)  # a variance
# 1 wrong | right on the given input, but not on another
def answer_1(c, sigma):
    return 0.6985
# 1 wrong | off by a factor
def answer_1(c, sigma):
    return np.sqrt(1 - c**2)  # without the noise
# 1 right
def answer_1(c, sigma):
    C = np.array([[1.0 + sigma**2, c], [c, 1.0]])
    return np.linalg.inv(C)[1, 1] ** -0.5
# 2 wrong | off by a factor
def answer_2(data, tomorrow):
    weights = np.linalg.solve(data @ data.T, data @ tomorrow)
    return np.sqrt(np.mean((tomorrow - weights @ data) ** 2))  # no product
# 2 wrong | off by a factor
def answer_2(data, tomorrow):
    return np.sqrt(np.mean((tomorrow - data[0] * data[1]) ** 2))  # no weight
# 2 right
def answer_2(data, tomorrow):
    three = np.stack([data[0], data[1], data[0] * data[1]])
    weights, *_ = np.linalg.lstsq(three.T, tomorrow)
    return (tomorrow - weights @ three).std()
# 3 wrong | off by a factor
def answer_3(y, x):
    return rmse(oi_of(y, matrix), x)  # the covariance of the page
# 3 wrong | off by a factor
def answer_3(y, x):
    return rmse(y.mean(1), x)
# 3 right
def answer_3(y, x):
    a, b = y.flatten(1).double(), x.flatten(1).double()
    best = torch.linalg.solve(a.T @ a, a.T @ b)
    return (a @ best - b).square().mean().sqrt().item()
# 4 wrong | right on the given input, but not on another
def answer_4(seen):
    test, of_oi = duel(seen)
    _, errors = train(moving, test, 256, steps=600)  # always days 1 and 7
    return 1 - errors[600] / of_oi
# 4 wrong | its sign is wrong
def answer_4(seen):
    test, of_oi = duel(seen)
    _, errors = train(moving, test, 256, steps=600, seen=seen)
    return errors[600] / of_oi - 1
# 4 right
guess_4 = "smaller"
def answer_4(seen):
    test, of_oi = duel(seen)
    net, _ = train(moving, test, width=256, steps=600, seen=seen, asked=3)
    with torch.no_grad():
        return (of_oi - rmse(net(test[0]), test[1])) / of_oi
