"""tests/fixtures/interpreter.json: what torch makes of small inputs, for each operation that the interpreter of src/parity knows.

Inputs are sixteenths, so that float16 holds them; sides are odd, paddings differ at each edge. `gives32` is torch's float64 result in
float32, `gives16` the same in float16; `inf` stands for what is too large for it.
"""

import math

import torch
import torch.nn.functional as F

import fixture


def numbers(*shape, scale=1.0):
    return torch.randint(-64, 65, shape).double() / 16 * scale


def flat(tensor):
    return [value if math.isfinite(value) else ("inf" if value > 0 else "-inf") for value in tensor.flatten().tolist()]


def case(kind, inputs, result, **options):
    """`inputs`: the operation's own names of them; `options`: the rest of the operation."""
    return {
        "operation": {"kind": kind, **options},
        "inputs": {
            name: None if tensor is None else {"shape": list(tensor.shape), "data": tensor.flatten().tolist()}
            for name, tensor in inputs.items()
        },
        "shape": list(result.shape),
        "gives32": flat(result.float()),
        "gives16": flat(result.float().half().float()),
    }


def conv(channels, outputs, kernel, size, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), groups=1, bias=True, scale=1.0):
    x = numbers(1, channels, *size, scale=scale)
    weight = numbers(outputs, channels // groups, *kernel)
    b = numbers(outputs, scale=scale) if bias else None
    top, bottom, left, right = pads
    y = F.conv2d(F.pad(x, (left, right, top, bottom)), weight, b, strides, 0, dilations, groups)
    options = {"strides": strides, "pads": pads, "dilations": dilations, "groups": groups}
    return case("conv", {"x": x, "weight": weight, "bias": b}, y, **options)


def pool(kind, kernel, strides, pads, counts=None):
    x = numbers(1, 3, 7, 6)
    top, bottom, left, right = pads
    around = (left, right, top, bottom)
    options = {"kernel": kernel, "strides": strides, "pads": pads}
    if kind == "maxPool":
        return case(kind, {"x": x}, F.max_pool2d(F.pad(x, around, value=-math.inf), kernel, strides), **options)
    total = F.avg_pool2d(F.pad(x, around), kernel, strides)
    if not counts:
        total = total / F.avg_pool2d(F.pad(torch.ones_like(x), around), kernel, strides)
    return case(kind, {"x": x}, total, countsPadding=counts, **options)


def normed(epsilon, affine):
    x, mean, variance = numbers(1, 4, 3, 3), numbers(4), numbers(4).abs() + 1 / 16
    gamma, beta = (numbers(4), numbers(4)) if affine else (None, None)
    y = F.batch_norm(x, mean, variance, gamma, beta, False, 0.0, epsilon)
    inputs = {"x": x, "mean": mean, "variance": variance, "gamma": gamma, "beta": beta}
    return case("batchNorm", inputs, y, epsilon=epsilon)


def unary(kind, function, x=None, **options):
    x = numbers(1, 5, 3) if x is None else x
    return case(kind, {"x": x}, function(x), **options)


def binary(kind, function, x, y):
    return case(kind, {"x": x, "y": y}, function(x, y))


def cases():
    torch.manual_seed(11)
    hard = lambda alpha, beta: lambda x: torch.clamp(alpha * x + beta, 0, 1)
    low = lambda otherwise: lambda x: torch.where(x >= 0.5, x, torch.full_like(x, otherwise))
    joined = [numbers(1, 2, 3, 2), numbers(1, 1, 3, 2), numbers(1, 4, 3, 2)]
    x, weight, bias = numbers(2, 7), numbers(5, 7), numbers(5)
    divisor = numbers(1, 3, 4, 1).abs() + 0.25
    return {
        "conv, uneven padding, strides": conv(3, 7, (3, 3), (7, 5), strides=(2, 1), pads=(1, 0, 2, 1)),
        "conv, dilated": conv(2, 5, (3, 2), (9, 8), pads=(2, 1, 0, 1), dilations=(2, 3), bias=False),
        "conv, two groups": conv(6, 10, (3, 3), (5, 5), pads=(1, 1, 1, 1), groups=2),
        "conv, deep and wide": conv(64, 6, (3, 3), (9, 8), pads=(1, 1, 1, 1)),
        "conv, pointwise, strided": conv(5, 9, (1, 1), (7, 9), strides=(2, 2)),
        "conv, depthwise": conv(4, 4, (5, 3), (9, 7), strides=(2, 2), pads=(2, 2, 1, 0), groups=4),
        "conv, three outputs a group": conv(4, 6, (3, 3), (5, 6), pads=(0, 1, 1, 0), dilations=(1, 2), groups=2),
        "conv, subnormal": conv(3, 4, (3, 3), (5, 5), scale=2.0**-19),
        "conv, too large": conv(3, 4, (3, 3), (5, 5), scale=2.0**12),
        "batchNorm": normed(1e-3, True),
        "batchNorm, no gamma": normed(1e-5, False),
        "add": binary("add", torch.add, numbers(1, 3, 2, 5), numbers(3, 1, 1)),
        "sub": binary("sub", torch.sub, numbers(1, 3, 4, 2), numbers(1, 3, 4, 2)),
        "mul": binary("mul", torch.mul, numbers(1, 3, 1, 1), numbers(1, 3, 4, 5)),
        "mul, both spread": binary("mul", torch.mul, numbers(4, 1), numbers(2, 1, 5)),
        "mul, subnormal": binary("mul", torch.mul, numbers(1, 40), torch.tensor(2.0**-21).double()),
        "div": binary("div", torch.div, numbers(1, 3, 4, 5), divisor),
        "max": binary("max", torch.maximum, numbers(3, 4), numbers(4)),
        "min": binary("min", torch.minimum, numbers(3, 4), numbers(1)),
        "relu": unary("relu", torch.relu),
        "identity": unary("identity", lambda x: x, numbers(1, 30) / 3),
        "clip": unary("clip", lambda x: torch.clamp(x, -0.75, 1.5), low=-0.75, high=1.5),
        "hardSigmoid": unary("hardSigmoid", hard(1 / 6, 0.5), alpha=1 / 6, beta=0.5),
        "threshold, zero": unary("threshold", low(0.0), alpha=0.5, below="zero"),
        "threshold, alpha": unary("threshold", low(0.5), alpha=0.5, below="alpha"),
        "maxPool": pool("maxPool", (3, 2), (2, 1), (1, 0, 0, 1)),
        "avgPool, counts padding": pool("avgPool", (3, 3), (2, 2), (1, 1, 1, 0), True),
        "avgPool, leaves padding out": pool("avgPool", (3, 3), (2, 2), (1, 1, 1, 0), False),
        "mean, kept": unary("mean", lambda x: x.mean((2, 3), True), numbers(1, 4, 3, 5), axes=[2, 3], keepDims=True),
        "mean, from the end": unary("mean", lambda x: x.mean((1, 3)), numbers(2, 4, 3, 5), axes=[-3, -1], keepDims=False),
        "reshape": unary("reshape", lambda x: x.reshape(3, 8), numbers(1, 4, 3, 2), shape=[3, -1]),
        "transpose": unary("transpose", lambda x: x.permute(0, 3, 1, 2), numbers(1, 4, 3, 2), order=[0, 3, 1, 2]),
        "concat": case("concat", {f"part {i}": part for i, part in enumerate(joined)}, torch.cat(joined, 1), axis=1),
        "linear": case("linear", {"x": x, "weight": weight, "bias": bias}, F.linear(x, weight, bias)),
        "softmax": unary("softmax", lambda x: torch.softmax(x, -1), numbers(2, 9), axis=-1),
        "softmax, first axis, far apart": unary("softmax", lambda x: torch.softmax(x, 0), numbers(4, 3, scale=20), axis=0),
    }


if __name__ == "__main__":
    fixture.finish("interpreter.json", cases())
