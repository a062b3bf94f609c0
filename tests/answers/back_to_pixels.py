# ruff: noqa
# 1 wrong | right on the given input, but not on another
def answer_1(patch, overlap):
    return overlap % 2 == 0
# 1 wrong | right on the given input, but not on another
def answer_1(patch, overlap):
    return (patch + overlap) % patch == 0
# 1 right
def answer_1(patch, overlap):
    return overlap in (0, patch / 2, patch)
# 2 wrong | off by a factor
def answer_2(x, ocean):
    return (x * ocean).mean((0, 2, 3))
# 2 wrong | wrong in
def answer_2(x, ocean):
    of_each = (x * ocean).sum((2, 3)) / ocean.sum((2, 3))
    return of_each.mean(0)  # a map with little sea counts as much
# 2 wrong | its shape is (2, 3)
def answer_2(x, ocean):
    return (x * ocean).sum((2, 3)) / ocean.sum()
# 2 right
def answer_2(x, ocean):
    pixels = x.permute(0, 2, 3, 1)[ocean[:, 0]]  # (ocean pixels, C)
    return pixels.mean(0)
# 3 wrong | not on another
def answer_3(to_grid):
    return to_grid(torch.zeros(1, 6, 5)).shape == (1, 5, 2, 3)
# 3 wrong | not on another
def answer_3(to_grid):
    latent = torch.arange(30.0).reshape(1, 6, 5)
    return torch.equal(to_grid(latent)[0, :, 0, 0], latent[0, 0])
# 3 right
def answer_3(to_grid):
    latent = torch.randn(1, 6, 5)
    return torch.equal(to_grid(latent).flatten(2).transpose(1, 2), latent)
# 4 wrong | off by a factor
def answer_4(mean):
    return learn_map("set", mean=mean)[-1]
# 4 wrong | off by a factor
def answer_4(mean):
    return learn_map("learned", mean=mean)[0]
# 4 right
guess_4 = "tens"
def answer_4(mean):
    errors = learn_map(mode="learned", mean=mean, spread=5.0)
    return errors[len(errors) - 1]
