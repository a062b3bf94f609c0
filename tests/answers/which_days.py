# ruff: noqa
# 1 wrong | right on the given input, but not on another
def answer_1(weights):
    return (-(weights * weights.clamp(min=1e-12).log()).sum(1)).exp()
# 1 wrong | its shape is ()
def answer_1(weights):
    return 1 / weights.square().sum()
# 1 right
def answer_1(weights):
    return weights.sum(1) ** 2 / torch.einsum("pt,pt->p", weights, weights)
# 2 wrong | right on the given input, but not on another
def answer_2(weights):
    return bool(abs(weights.sum(dim=1).mean() - 1) < 1e-3)
# 2 wrong | it says True
def answer_2(weights):
    return bool((weights.sum(dim=2) - 1).abs().max() < 1e-3)
# 2 right
def answer_2(weights):
    return all(abs(s - 1) < 1e-3 for s in weights.sum(1).flatten().tolist())
# 3 wrong | off by a factor
def answer_3(strength):
    torch.manual_seed(0)
    other = Weigher()
    other.temporal.pos.pe *= strength
    with torch.no_grad():  # fit is forgotten
        return rmse(other(values[test], hidden[test]))
# 3 wrong | it is the square
def answer_3(strength):
    torch.manual_seed(0)
    other = Weigher()
    other.temporal.pos.pe *= strength
    fit(other)
    with torch.no_grad():
        return rmse(other(values[test], hidden[test])) ** 2
# 3 right
guess_3 = "most"
def answer_3(strength):
    other = Weigher()
    other.temporal.pos.pe = other.temporal.pos.pe * strength
    return rmse(fit(other)(values[test], hidden[test]).detach())
# 4 wrong | it is wrong in
def answer_4(was_seen):
    return was_seen / was_seen.sum(1, keepdim=True)
# 4 wrong | it is wrong in
def answer_4(was_seen):
    day = torch.arange(was_seen.shape[1])
    far = (day[:, None] - day).abs() + 1000 * ~was_seen[:, None]
    return torch.nn.functional.one_hot(far.argmin(2), len(day)).float().mean(1)  # ties to one
# 4 wrong | its shape is
def answer_4(was_seen):
    return after
# 4 right
def answer_4(was_seen):
    weights = torch.zeros(was_seen.shape)
    for p, row in enumerate(was_seen.tolist()):
        seen_at = [t for t, s in enumerate(row) if s]
        for t in range(len(row)):
            near = min(abs(t - s) for s in seen_at)
            best = [s for s in seen_at if abs(t - s) == near]
            for s in best:
                weights[p, s] += 1 / len(best) / len(row)
    return weights
