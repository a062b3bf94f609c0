# ruff: noqa
# 1 wrong | part 0
def answer_1(gradients, max_norm):
    return [g * min(1.0, max_norm / g.norm().item()) for g in gradients]  # each alone
# 1 wrong | right on the given input, but not on another
def answer_1(gradients, max_norm):
    total = torch.cat([g.flatten() for g in gradients]).norm()
    return [g * max_norm / total for g in gradients]  # stretches short ones
# 1 wrong | part 0
def answer_1(gradients, max_norm):
    return [g.clamp(-max_norm, max_norm) for g in gradients]
# 1 right
def answer_1(gradients, max_norm):
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for p, g in zip(parameters, gradients):
        p.grad = g.clone()
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    return [p.grad for p in parameters]
# 2 wrong | NaN
def answer_2(prediction, target, share):
    square = torch.where(share > 0, (prediction - target).square() * share, 0.0)
    return (square.sum() / share.sum()).sqrt()  # the gradient is NaN
# 2 wrong | part 0: it is off by a factor
def answer_2(prediction, target, share):
    return ((prediction - target.nan_to_num()).square() * share).mean().sqrt()
# 2 wrong | off by a factor
def answer_2(prediction, target, share):
    sea = share > 0
    return (prediction[sea] - target[sea]).square().mean().sqrt()
# 2 right
def answer_2(prediction, target, share):
    sea = share > 0
    square = (prediction[sea] - target[sea]) ** 2
    return (square @ share[sea] / share[sea].sum()) ** 0.5
# 3 wrong | it changes its input
def answer_3(saved):
    saved["optimizer"]["state"] = {}
    return saved
# 3 wrong | it should return
def answer_3(saved):
    return {"optimizer": {"state": {}, "param_groups": saved["optimizer"]["param_groups"]}}
# 3 wrong | it should return
def answer_3(saved):
    return {key: value for key, value in saved.items() if key != "optimizer"}
# 3 right
guess_3 = "others"
def answer_3(saved):
    other = copy.deepcopy(saved)
    other["optimizer"]["state"].clear()
    return other
