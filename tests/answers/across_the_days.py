# ruff: noqa
# 1 wrong | wrong in
def answer_1(said, known, reach, noise):
    r = torch.arange(len(said))[:, None] - torch.arange(len(said))
    kernel = torch.exp(-(r**2) / (2 * reach**2)) * known
    return kernel @ torch.where(known, said, 0) / kernel.sum(1).clamp_min(1e-9)  # no null key
# 1 wrong | wrong in
def answer_1(said, known, reach, noise):
    r = torch.arange(len(said))[:, None] - torch.arange(len(said))
    kernel = torch.exp(-(r**2) / (2 * reach**2))  # the unknown count too
    return kernel @ torch.where(known, said, 0) / (kernel.sum(1) + noise)
# 1 right
def answer_1(said, known, reach, noise):
    heard = []
    for i in range(len(said)):
        top, bottom = 0.0, noise
        for j in range(len(said)):
            if known[j]:
                k = math.exp(-((i - j) ** 2) / (2 * reach**2))
                top, bottom = top + k * float(said[j]), bottom + k
        heard.append(top / bottom)
    return torch.tensor(heard)
# 2 wrong | off by
def answer_2(score, value, known):
    return (score.masked_fill(~known, -torch.inf).softmax(0) * value).sum()  # the right head
# 2 wrong | off by
def answer_2(score, value, known):
    return (score.softmax(0) * value).sum()
# 2 right
def answer_2(score, value, known):
    weight = score.exp() / score.exp().sum()
    return weight[known] @ value[known]
# 3 wrong | off by
def answer_3(part):
    network = load_weights("ocean-2").eval()
    torch.nn.init.zeros_(getattr(network.network.mixer.blocks[0], f"over_{part}").out.weight)
    with torch.no_grad():
        answer = network(*month, asked).mean
    return float((answer - truth[:, DAY]).square().mean().sqrt())  # one block only
# 3 wrong | off by
def answer_3(part):
    network = load_weights("ocean-2").eval()
    with torch.no_grad():
        answer = network(*month, asked).mean
    return float((answer - truth[:, DAY]).square().mean().sqrt())
# 3 right
guess_3 = "days"
def answer_3(part):
    network = load_weights("ocean-2").eval()
    with torch.no_grad():
        for block in network.network.mixer.blocks:
            getattr(block, f"over_{part}").out.weight.mul_(0)
        error = network(*month, asked)[0] - truth[:, 15]
    return error.pow(2).mean().sqrt().item()
