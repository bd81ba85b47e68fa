"""tests/fixtures/gradients.json: torch's outputs and gradients of single layers. tests/fixtures/steps.json: five Adam steps of a small network.

Run with torch (Debian 12: python3-torch); --check compares with the committed files. Inputs, weights and the gradients that come
from above are by formula (formula.py), in float64, so the fixtures carry only results. Images are [N,H,W,C] outside.
"""

import numpy
import torch
import torch.nn.functional as F

import fixture
import formula

torch.set_default_dtype(torch.float64)


def signed(name, shape):
    values = 2 * formula.uniform(name, int(numpy.prod(shape))) - 1
    return torch.from_numpy(values.astype(numpy.float32).astype(numpy.float64)).reshape(shape)


def first(x):
    return x.permute(0, 3, 1, 2)


def last(x):
    return x.permute(0, 2, 3, 1)


def numbers(x):
    return [round(v, 6) + 0.0 for v in x.detach().contiguous().flatten().tolist()]


def conv(x, node, p):
    return F.conv2d(x, p["weight"], p.get("bias"), node["stride"], node["padding"], groups=node["groups"])


def apply(node, inputs, p, training, momentum):
    """One node of our graph, by torch, on [N,C,H,W]."""
    x = inputs[0] if inputs else None
    op = node["op"]
    if op == "conv2d":
        return conv(x, node, p)
    if op == "batchNorm2d":
        m = node["momentum"] if momentum is None else momentum
        return F.batch_norm(x, p["running_mean"], p["running_var"], p["weight"], p["bias"], training, m, node["eps"])
    if op == "activation":
        return {"relu": F.relu, "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid}[node["kind"]](x)
    if op == "maxPool2d":
        return F.max_pool2d(x, node["kernel"], node["stride"], node["padding"])
    if op == "avgPool2d":
        return F.avg_pool2d(x, node["kernel"], node["stride"])
    if op == "globalAvgPool":
        return F.adaptive_avg_pool2d(x, 1)
    if op == "flatten":
        return x.flatten(1)
    if op == "linear":
        return F.linear(x, p["weight"], p.get("bias"))
    if op == "add":
        return inputs[0] + inputs[1]
    if op == "mul":
        return inputs[0] * inputs[1]
    if op == "concat":
        return torch.cat(inputs, 1)
    raise ValueError(op)


def parameter_shapes(node):
    if node["op"] == "conv2d":
        shapes = {"weight": [node["outChannels"], node["inChannels"] // node["groups"], node["kernel"], node["kernel"]]}
        return shapes | ({"bias": [node["outChannels"]]} if node["bias"] else {})
    if node["op"] == "linear":
        return {"weight": [node["outFeatures"], node["inFeatures"]], "bias": [node["outFeatures"]]}
    if node["op"] == "batchNorm2d":
        return {kind: [node["channels"]] for kind in ["weight", "bias", "running_mean", "running_var"]}
    return {}


def parameters(node):
    """By formula.py's rule for the kind of parameter; float32 values in float64."""
    return {
        kind: torch.from_numpy(numpy.asarray(formula.tensor(f"{node['name']}.{kind}", shape), dtype=numpy.float64))
        for kind, shape in parameter_shapes(node).items()
    }


def conv_node(name, i, o, k, s, p, g=1, bias=False):
    return {"op": "conv2d", "name": name, "inputs": ["input"], "inChannels": i, "outChannels": o, "kernel": k, "stride": s,
            "padding": p, "groups": g, "bias": bias}


def layer(op, name, inputs=("input",), **rest):
    return {"op": op, "name": name, "inputs": list(inputs), **rest}


def norm(name, inputs, channels, momentum=0.1, eps=1e-5):
    return layer("batchNorm2d", name, inputs, channels=channels, eps=eps, momentum=momentum)


LAYERS = {
    "convolution 3×3, 7×6": ([2, 7, 6, 3], conv_node("a", 3, 4, 3, 1, 1)),
    "convolution 3×3, stride 2, 7×7": ([2, 7, 7, 3], conv_node("b", 3, 4, 3, 2, 1)),
    "convolution 3×3, stride 2, 8×7": ([2, 8, 7, 3], conv_node("c", 3, 4, 3, 2, 1)),
    "convolution 7×7, stride 2, 9×8": ([1, 9, 8, 2], conv_node("d", 2, 3, 7, 2, 3)),
    "convolution 3×3, no padding, 5×7": ([2, 5, 7, 2], conv_node("e", 2, 3, 3, 1, 0)),
    "convolution 5×5, stride 3, 11×10": ([1, 11, 10, 2], conv_node("f", 2, 3, 5, 3, 2)),
    "convolution 1×1 with bias, 5×4": ([2, 5, 4, 5], conv_node("g", 5, 3, 1, 1, 0, bias=True)),
    "convolution 1×1, stride 2, 7×6": ([2, 7, 6, 4], conv_node("h", 4, 5, 1, 2, 0)),
    "convolution 3×3, two groups, stride 2, 7×7": ([2, 7, 7, 4], conv_node("i", 4, 6, 3, 2, 1, 2, bias=True)),
    "depthwise 3×3, 6×7": ([2, 6, 7, 5], conv_node("j", 5, 5, 3, 1, 1, 5)),
    "depthwise 3×3, stride 2, 7×8": ([2, 7, 8, 5], conv_node("k", 5, 5, 3, 2, 1, 5)),
    "depthwise 5×5, 6×6": ([2, 6, 6, 4], conv_node("l", 4, 4, 5, 1, 2, 4)),
    "depthwise 5×5, stride 2, 9×7": ([2, 9, 7, 4], conv_node("m", 4, 4, 5, 2, 2, 4)),
    "depthwise 5×5 on 2×2": ([2, 2, 2, 4], conv_node("m2", 4, 4, 5, 1, 2, 4)),
    "batch norm, 5×4": ([3, 5, 4, 4], norm("n", ["input"], 4, eps=1e-3)),
    "max pool 3×3, stride 2, 7×8": ([2, 7, 8, 3], layer("maxPool2d", "o", kernel=3, stride=2, padding=1)),
    "max pool 2×2, 5×5": ([2, 5, 5, 3], layer("maxPool2d", "p", kernel=2, stride=2, padding=0)),
    "average pool 2×2, 5×6": ([2, 5, 6, 3], layer("avgPool2d", "q", kernel=2, stride=2)),
    "global average pool, 4×3": ([2, 4, 3, 5], layer("globalAvgPool", "r")),
    "relu": ([2, 3, 4, 3], layer("activation", "s", kind="relu")),
    "hardswish": ([2, 3, 4, 6], layer("activation", "t", kind="hardswish")),
    "hardsigmoid": ([2, 3, 4, 6], layer("activation", "u", kind="hardsigmoid")),
}
# So that both bends of the hard functions are met, and the maximum of a window is often a tie.
SCALE = {"t": 5, "u": 5, "o": 3, "p": 3}


def run_layer(shape, node):
    x = signed(f"{node['name']} x", shape) * SCALE.get(node["name"], 1)
    if node["op"] == "maxPool2d":
        x = torch.floor(x) - 3.0  # ties, and all below the zero of a careless padding
    x.requires_grad_()
    p = parameters(node)
    for kind in ("weight", "bias"):
        if kind in p:
            p[kind].requires_grad_()
    y = last(apply(node, [first(x)], p, True, None))
    y.backward(signed(f"{node['name']} dy", list(y.shape)))
    result = {"node": node, "shape": shape, "scale": SCALE.get(node["name"], 1), "outputShape": list(y.shape), "y": numbers(y),
              "dx": numbers(x.grad)}
    for kind in ("weight", "bias"):
        if kind in p:
            result[f"d_{kind}"] = numbers(p[kind].grad)
    for kind in ("running_mean", "running_var"):
        if kind in p:
            result[kind] = numbers(p[kind])
    return result


# Every op of the three backbones but dropout: stem, bottleneck with squeeze and excitation, residual, dense concatenation.
NETWORK = [
    layer("input", "input", [], channels=3),
    conv_node("stem.conv", 3, 8, 3, 2, 1),
    norm("stem.norm", ["stem.conv"], 8, momentum=0.01, eps=1e-3),
    layer("activation", "stem.act", ["stem.norm"], kind="hardswish"),
    layer("maxPool2d", "pool", ["stem.act"], kernel=3, stride=2, padding=1),
    conv_node("block.expand", 8, 12, 1, 1, 0) | {"inputs": ["pool"]},
    norm("block.norm1", ["block.expand"], 12),
    layer("activation", "block.relu1", ["block.norm1"], kind="relu"),
    conv_node("block.depthwise", 12, 12, 5, 1, 2, 12) | {"inputs": ["block.relu1"]},
    norm("block.norm2", ["block.depthwise"], 12),
    layer("globalAvgPool", "se.pool", ["block.norm2"]),
    conv_node("se.fc1", 12, 4, 1, 1, 0, bias=True) | {"inputs": ["se.pool"]},
    layer("activation", "se.relu", ["se.fc1"], kind="relu"),
    conv_node("se.fc2", 4, 12, 1, 1, 0, bias=True) | {"inputs": ["se.relu"]},
    layer("activation", "se.gate", ["se.fc2"], kind="hardsigmoid"),
    layer("mul", "se.mul", ["block.norm2", "se.gate"]),
    conv_node("block.project", 12, 8, 1, 1, 0) | {"inputs": ["se.mul"]},
    norm("block.norm3", ["block.project"], 8),
    layer("add", "block.add", ["block.norm3", "pool"]),
    conv_node("dense.conv", 8, 4, 3, 1, 1) | {"inputs": ["block.add"]},
    layer("concat", "dense.cat", ["block.add", "dense.conv"]),
    norm("dense.norm", ["dense.cat"], 12),
    layer("activation", "dense.relu", ["dense.norm"], kind="relu"),
    layer("avgPool2d", "dense.pool", ["dense.relu"], kernel=2, stride=2),
    layer("globalAvgPool", "gap", ["dense.pool"]),
    layer("flatten", "flat", ["gap"]),
    layer("linear", "head", ["flat"], inFeatures=12, outFeatures=5, bias=True),
]
IMAGES, SIZE, CLASSES, STEPS, RATE = 6, 19, 5, 5, 0.01


def step_gradients(images, step, parts, state, momentum=None):
    """Loss of step `step` over a batch in parts; its gradients are in `state` afterwards. images: [STEPS, IMAGES, SIZE, SIZE, 3]"""
    total, begin = 0.0, 0
    for count in parts:
        values = {"input": first(images[step, begin : begin + count])}
        labels = torch.tensor([(step + i) % CLASSES for i in range(begin, begin + count)])
        for node in NETWORK[1:]:
            values[node["name"]] = apply(node, [values[i] for i in node["inputs"]], state[node["name"]], True, momentum)
        loss = F.cross_entropy(values["head"], labels) * count / IMAGES
        loss.backward()
        total += loss.item()
        begin += count
    return total


def run_steps(parts, momentum):
    state = {node["name"]: parameters(node) for node in NETWORK}
    named = {f"{n}.{k}": t for n, own in state.items() for k, t in own.items()}
    trained = [t.requires_grad_() for n, t in named.items() if n.endswith((".weight", ".bias"))]
    adam = torch.optim.Adam(trained, lr=RATE)
    images = signed("steps images", [STEPS, IMAGES, SIZE, SIZE, 3]) * 2
    losses = []
    for step in range(STEPS):
        adam.zero_grad()
        total = step_gradients(images, step, parts, state, momentum)
        adam.step()
        losses.append(round(total, 7))
    result = {"parts": parts, "momentum": momentum, "losses": losses, "weights": {n: numbers(t) for n, t in named.items()}}
    if momentum is None:
        result["moments"] = {
            f"{n}.{kind}": [round(v, 9) + 0.0 for v in adam.state[t][kind].flatten().tolist()]
            for n, t in named.items()
            if n in ("stem.conv.weight", "block.depthwise.weight", "head.weight")
            for kind in ("exp_avg", "exp_avg_sq")
        }
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    fixture.finish("gradients.json", {name: run_layer(*case) for name, case in LAYERS.items()})
    fixture.finish(
        "steps.json",
        {
            "network": {"nodes": NETWORK, "images": IMAGES, "size": SIZE, "classes": CLASSES, "learningRate": RATE},
            "whole batch": run_steps([6], None),
            "two parts": run_steps([4, 2], None),
            "momentum 0.3": run_steps([6], 0.3),
        },
    )
