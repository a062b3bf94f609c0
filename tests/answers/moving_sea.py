# ruff: noqa
# 1 wrong | sign is wrong
def answer_1(zeta_hat):
    return flow(PER_K * zeta_hat)
# 1 wrong | off by a factor
def answer_1(zeta_hat):
    return flow(-zeta_hat)  # b / k, not over k squared
# 1 right
def answer_1(zeta_hat):
    psi_hat = torch.where(K > 0, -zeta_hat / K**2, 0)
    return to_map(-1j * KY * psi_hat), to_map(1j * KX * psi_hat)
# 2 wrong | off by a factor
def answer_2(field):
    steps = field.diff(dim=1)  # rows alone
    return (steps**4).mean() / (steps**2).mean() ** 2
# 2 wrong | off by
def answer_2(field):
    steps = torch.cat([field.diff(dim=0).flatten(), field.diff(dim=1).flatten()])
    return (steps**4).mean() / (steps**2).mean()
# 2 wrong | off by a factor
def answer_2(field):
    return (field**4).mean() / (field**2).mean() ** 2  # of the values
# 2 right
def answer_2(field):
    a = field.numpy()
    steps = np.concatenate([np.diff(a, axis=0).ravel(), np.diff(a, axis=1).ravel()])
    return np.mean(steps**4) / np.mean(steps**2) ** 2
# 3 wrong | right on the given input, but not on another
def answer_3(speed):
    g = torch.Generator().manual_seed(8)
    return moving_anomalies(3, 5, 64, g, cell_km=16.0, spin_up_days=40).std().item()
# 3 wrong | off by a factor
def answer_3(speed):
    g = torch.Generator().manual_seed(8)
    return moving_anomalies(3, 5, 64, g, cell_km=16.0, speed=speed,
                            spin_up_days=0).std().item()
# 3 right
guess_3 = "between"
def answer_3(speed):
    sea = moving_anomalies(runs=3, days=5, size=64, cell_km=16.0, speed=speed, spin_up_days=40,
                           generator=torch.Generator().manual_seed(8))
    return float(np.std(sea.numpy()))
# 4 wrong | off by a factor
def answer_4(u, v, tries):
    return min(dt for dt in tries if largest(u, v, dt) >= 30)  # the first that grows
# 4 wrong | right on the given input, but not on another
def answer_4(u, v, tries):
    return max(dt for dt in tries if largest(*flow(b_hat), dt) < 30)  # its own flow
# 4 wrong | off by a factor
def answer_4(u, v, tries):
    fastest = torch.hypot(u, v).max()
    limit = 2.8 / (fastest * 2 * torch.pi / (3 * CELL))
    return max(dt for dt in tries if dt < limit)  # theory, not tried
# 4 right
guess_4 = "right"
def answer_4(u, v, tries):
    longest = 0.0
    for dt in sorted(float(x) for x in tries):
        if not largest(u, v, dt) < 30:
            break
        longest = dt
    return longest
