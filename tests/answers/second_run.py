# ruff: noqa
# 1 wrong | right on the given input, but not on another
def answer_1(table):
    return table.mean(axis=1).idxmin()  # kelvins, not per cents
# 1 wrong | right on the given input, but not on another
def answer_1(table):
    return table[table.columns[-1]].idxmin()
# 1 right
def answer_1(table):
    product = table.prod(axis=1) ** (1 / table.shape[1])
    return product.sort_values().index[0]
# 2 wrong | right on the given input, but not on another
def answer_2(settings, steps, moving):
    return steps * moving * 0.76 * 0.88
# 2 wrong | off by a factor
def answer_2(settings, steps, moving):
    return steps * like_the_exam(settings)  # the old share
# 2 right
def answer_2(settings, steps, moving):
    passing = 1 - 0.8 * settings["lasting"]
    return moving * passing * (1 - settings["no_climatology"]) * steps
# 3 wrong | off by
def answer_3(name):
    return validation_rmse(load_weights("ocean-1").eval(), still) * (2 if name == "ocean-1" else 1)
# 3 wrong | right on the given input, but not on another
def answer_3(name):
    return validation_rmse(load_weights("ocean-1").eval(), still)
# 3 right
guess_3 = "alike"
def answer_3(name):
    with torch.no_grad():
        found = load_weights(name).eval()(*still.inputs).mean
    square = (found - still.target).square() * still.ocean
    return (square.sum() / still.ocean.sum()).sqrt().item()
