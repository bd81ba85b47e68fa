"""Weights and inputs by formula, so that fixtures need not carry them. The same in TypeScript: tests/unit/support/formulaWeights.ts.

Philox4x32-10 (Salmon et al., SC 2011) with key (SEED, 0) and counter (block, FNV-1a of the tensor's name, 0, 0) gives 32-bit words; u = word / 2^32.
All arithmetic is float64, rounded once to float32: both sides give the same bits.
"""

import math

import numpy as np

SEED = 20190512


def philox4x32(counters, key):
    """counters: [n, 4] uint32, key: two ints -> [n, 4] uint32."""
    c0, c1, c2, c3 = (counters[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = (np.uint64(k) for k in key)
    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c0
        p1 = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> shift) ^ c1 ^ k0, p1 & low, (p0 >> shift) ^ c3 ^ k1, p0 & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def fnv1a(text):
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def uniform(name, count):
    """count float64 in [0, 1)."""
    blocks = -(-count // 4)
    counters = np.zeros((blocks, 4), np.uint32)
    counters[:, 0] = np.arange(blocks)
    counters[:, 1] = fnv1a(name)
    return philox4x32(counters, (SEED, 0)).reshape(-1)[:count] / 4294967296.0


def tensor(name, shape):
    """float32 values of one parameter or running statistic of a state_dict."""
    signed = 2 * uniform(name, math.prod(shape)) - 1
    kind = name.rsplit(".", 1)[1]
    if kind == "running_mean":
        values = 0.2 * signed
    elif kind == "running_var":
        values = 1 + 0.5 * signed
    elif len(shape) == 4:  # a convolution: He's uniform
        values = math.sqrt(6 / math.prod(shape[1:])) * signed
    elif len(shape) == 2:
        values = math.sqrt(3 / shape[1]) * signed
    elif kind == "bias":
        values = 0.2 * signed
    elif name.endswith("bn3.weight"):  # ends a residual branch of ResNet50; small, else the sums grow to hundreds
        values = 0.15 + 0.05 * signed
    else:
        values = 1 + 0.25 * signed
    return values.astype(np.float32).reshape(shape)


# How torchvision's constructors scale what they draw (tiny's are ours: src/architectures/*/index.ts): the axis of a convolution's
# fan, and the deviation of linear weights, or None for nn.Linear's own bounds.
INITIAL = {"densenet121": (1, None), "resnet50": (0, None), "mobilenet_v3_small": (0, 0.01), "tiny": (1, None)}


def initial(architecture, name, shape):
    """float32 values of a new network: torch's own scales, uniform where it draws from a normal distribution of that deviation; biases 0.

    Two scales are ours. The last batch norm of a residual branch (bn3) is 0.2, between torchvision's 1 and the 0 of its zero_init_residual.
    With 1, rounding grows so on its way through ResNet50 that ReLUs turn over: at 64 px, batch 4, torch's float32 gradient is 5e-3 from
    its float64 one, and 20 steps of Adam at 1e-6 are 4e-3 apart in loss. And running variances begin at 0, not 1: what a step adds to
    them, a hundredth of a variance that may itself be a thousandth, is then not rounded away in float32.
    """
    axis, deviation = INITIAL[architecture]
    kind = name.rsplit(".", 1)[1]
    if len(shape) == 1:
        constant = 0 if kind != "weight" else 0.2 if name.endswith("bn3.weight") else 1
        return np.full(shape, constant, np.float32)
    if len(shape) == 4:
        bound = math.sqrt(6 / (shape[axis] * math.prod(shape[2:])))
    else:
        bound = 1 / math.sqrt(shape[1]) if deviation is None else math.sqrt(3) * deviation
    return (bound * (2 * uniform(name, math.prod(shape)) - 1)).astype(np.float32).reshape(shape)


def images(count, size):
    """[count, size, size, 3] float32 in [-2, 2), what normalised images span: cells of 16 pixels plus noise, as noise alone averages out."""
    cells = -(-size // 16)
    coarse = 2 * uniform(f"images {size} coarse", count * cells * cells * 3) - 1
    fine = 2 * uniform(f"images {size} fine", count * size * size * 3) - 1
    cell = np.arange(size) // 16
    coarse = coarse.reshape(count, cells, cells, 3)[:, cell][:, :, cell]
    return (1.5 * coarse + 0.5 * fine.reshape(count, size, size, 3)).astype(np.float32)


def fill(model, value=tensor):
    """Every entry of a torchvision model's state_dict by a formula of its name and shape; num_batches_tracked stays."""
    import torch

    state = model.state_dict()
    for name, old in state.items():
        if not name.endswith("num_batches_tracked"):
            state[name] = torch.from_numpy(value(name, tuple(old.shape)))
    model.load_state_dict(state)
    return model
