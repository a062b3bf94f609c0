# ruff: noqa
# 1 wrong | entries are wrong
def answer_1(observed):
    trial = observed.clone()
    trial[:, trial.shape[1] // 2:] = False  # the north
    return trial
# 1 wrong | it changes its input
def answer_1(observed):
    observed[:, :observed.shape[1] // 2] = False
    return observed
# 1 wrong | right on the given input, but not on another
def answer_1(observed):
    trial = observed.clone()
    trial[:, :16] = False
    return trial
# 1 right
def answer_1(observed):
    north = torch.arange(observed.shape[1]) >= observed.shape[1] // 2
    return observed & north[None, :, None]
# 2 wrong | it is zero
def answer_2(shift):
    return (answer(observed[None], anomaly + shift)[0][0] - final)[~ocean].mean().item()
# 2 wrong | right on the given input, but not on another
def answer_2(shift):
    return (answer(observed[None], anomaly + abs(shift))[0][0] - final)[ocean].mean().item()
# 2 wrong | off by a factor
def answer_2(shift):
    return (answer(observed[None], anomaly + shift)[0][0] - truth)[ocean].mean().item()
# 2 right
guess_2 = "less"
def answer_2(shift):
    warmer = torch.where(observed, anomaly + shift, anomaly)
    moved = answer(observed[None], warmer)[0][0] - final
    return (moved * ocean).nan_to_num().sum() / ocean.sum()
# 3 wrong | it is zero
def answer_3(j, k):
    return (answer((masks[j] | masks[k])[None])[0][0] - final)[ocean].abs().mean()
# 3 wrong | off by a factor
def answer_3(j, k):
    return sum((hidden[i] - final)[ocean].abs().mean().item() for i in (j, k))
# 3 wrong | off by a factor
def answer_3(j, k):
    return (answer((masks[j] & masks[k])[None])[0][0] - final)[ocean].mean().abs()
# 3 right
def answer_3(j, k):
    both = observed & masks[j] & masks[k]
    moved, _ = answer(torch.stack([both]))
    return np.abs((moved[0] - final).numpy()[ocean.numpy()]).mean()
