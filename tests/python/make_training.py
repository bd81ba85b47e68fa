"""tests/fixtures/training/*.json: torchvision's three backbones and our tiny one in training, weights and images by formula (formula.py).

Run with torch and torchvision 0.14 (Debian 12: python3-torchvision); --check compares with the committed files. Dropout is off. All
numbers are of a float64 run. `spread` is how far torch's own float32 is from it, in the measure of the tests:
- logits: of the first step, in train mode: largest difference, relative to the largest logit;
- statistics: mean and variance of a batch, as the running ones have them after one step from 0, over m. Of each batch norm the norm of the
  variances and a projection of them (sketch.py), both relative to that norm; the same of the means, relative to the deviations' norm;
- gradient: difference over all values, relative to the gradient's norm, as the sketches have it; and the two norms' difference;
- tensors: of each tensor whose norm is above 1e-4 of the whole gradient's: norm and projection, relative to the tensor's norm. Below
  are gradients that are zero in exact arithmetic: of the bias of a batch norm that only another batch norm sees;
- losses: largest relative difference of 20 steps on one batch: all layers with Adam at the rate below; the head alone at 1e-3, the
  backbone in eval mode with the running statistics of formula.tensor; all layers at 1e-3 as long as the loss is above 0.1.

Training amplifies rounding, the more the smaller what a batch norm averages over and the larger the rate. Largest relative difference
of torch's float32 losses from float64's in 20 steps of Adam over all layers, measured (five classes, bn3 as in formula.py unless said):
  DenseNet121   32 px, batch 8, 1e-5: 2e-2   64 px, batch 8, 1e-5: 8e-4   64 px, batch 4, 1e-5: 2e-3; 3e-6: 3e-4; 1e-6: 5e-5
  ResNet50      bn3 = 1: 64 px, batch 8, 1e-5: 5e-2; 1e-6: 4e-3   bn3 = 0.2: 48 px, batch 4, 1e-5: 2e-4; 3e-6: 5e-5
  MobileNetV3   64 px, batch 8, 1e-3: 1e-2 (5e-4 while the loss is above 0.1); 1e-4: 2e-7   64 px, batch 4, 1e-3: 1e-1 (1e-6)
  tiny          64 px, batch 8, 1e-3: 2e-5   32 px, batch 8, 1e-3: 2e-7
And a ReLU that rounding turns over changes the whole gradient by 1e-3 to 1e-2, and all later losses. `first` is the first of the images
for which none does, in torch's float32 as on wasm and on WebGPU (--search NET 60 names candidates): found by the distance of the inputs of all ReLUs from their bend, in
units of float32's error there. At 32 px, batch 8, `tiny` has one within 0.1 units, which wasm turns over in the second of 20 steps, and its
losses end 1e-3 apart; at 16 px, batch 4, none is within 37.
"""

import json
import math
import sys
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn.functional import cross_entropy

import fixture
import formula
import sketch

CLASSES, STEPS, RATE, LOWEST = 5, 20, 1e-3, 0.1
SMALLEST = 1e-4  # of the gradient's norm: what a tensor's must be, to be judged by itself
# The largest spread: the tests' tolerance, 1e-3, has room for three of it.
WIDEST = 3e-4

NETS = {
    "densenet121": {"size": 64, "first": 46, "images": 4, "rate": 1e-6, "head": "classifier", "runs": ["all", "head"]},
    "resnet50": {"size": 48, "first": 31, "images": 4, "rate": 3e-6, "head": "fc", "runs": ["all", "head"]},
    "mobilenet_v3_small": {"size": 64, "first": 0, "images": 4, "rate": 1e-4, "head": "classifier.3", "runs": ["all", "head", "fast"]},
    "tiny": {"size": 16, "first": 0, "images": 4, "rate": RATE, "head": "classifier", "runs": ["fast"]},
}


class Tiny(nn.Module):
    """src/architectures/tiny, in torch."""

    LAYERS = [(16, 3, 2), (32, 3, 2), (32, 3, 1), (64, 3, 2), (64, 3, 1), (128, 1, 1)]

    def __init__(self, num_classes):
        super().__init__()
        layers, channels = [], 3
        for out, kernel, stride in self.LAYERS:
            conv = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, bias=False)
            layers.append(nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(out), relu=nn.ReLU())))
            channels = out
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def built(name, value, dtype):
    model = Tiny(CLASSES) if name == "tiny" else getattr(torchvision.models, name)(num_classes=CLASSES)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return formula.fill(model, value).to(dtype)


def batch(name, dtype):
    size, first, count = (NETS[name][key] for key in ("size", "first", "images"))
    images = torch.from_numpy(formula.images(first + count, size)[first:])
    return images.permute(0, 3, 1, 2).contiguous().to(dtype), torch.arange(count) % CLASSES


def descend(forward, parameters, labels, rate, until=lambda loss: False, first=lambda logits: None):
    """Losses of up to 20 steps of Adam; `first` is called after the first update."""
    adam = torch.optim.Adam(parameters, rate)
    losses = []
    for step in range(STEPS):
        adam.zero_grad()
        logits = forward()
        loss = cross_entropy(logits, labels)
        if until(loss.item()):
            break
        loss.backward()
        adam.step()
        losses.append(loss.item())
        if step == 0:
            first(logits)
    return losses


def array(tensor):
    return tensor.detach().double().numpy()


def statistics(model):
    """Of each batch norm: norms of the variances and the means, and their projections."""
    found = {}
    for name, norm in model.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            mean = array(norm.running_mean) / norm.momentum
            variance = array(norm.running_var) / norm.momentum
            found[name] = (
                float(np.linalg.norm(variance)),
                sketch.projection(f"{name}.running_var", variance),
                float(np.linalg.norm(mean)),
                sketch.projection(f"{name}.running_mean", mean),
                math.sqrt(float(np.abs(variance).sum())),
            )
    return found


def gradient_of(gradients):
    total, each = sketch.sketch(gradients)
    return {"sketch": total, "tensors": each, "norm": math.sqrt(sum(norm * norm for norm, _ in each.values()))}


def run(name, kind, dtype):
    """One of the runs of a network, in numbers that a process can hand on."""
    torch.set_num_threads(1)
    images, labels = batch(name, dtype)
    if kind == "head":
        model = built(name, formula.tensor, dtype).eval()
        head = model.get_submodule(NETS[name]["head"])
        seen = []
        head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
        with torch.no_grad():
            model(images)
        result = {}

        def begun(_):
            gradients = {f"{NETS[name]['head']}.{key}": array(value.grad).reshape(-1) for key, value in head.named_parameters()}
            result.update(gradient_of(gradients))

        # The backbone does not change: what it shows the head is the same in each step.
        result["losses"] = descend(lambda: head(seen[0]), head.parameters(), labels, RATE, first=begun)
        return result
    model = built(name, lambda *one: formula.initial(name, *one), dtype).train()
    result = {}

    def first(logits):
        result.update(logits=array(logits).reshape(-1), statistics=statistics(model))
        result.update(gradient_of({key: array(value.grad).reshape(-1) for key, value in model.named_parameters()}))
        (result["momentum"],) = {module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm2d)}

    forward = lambda: model(images)
    if kind == "all":
        result["losses"] = descend(forward, model.parameters(), labels, NETS[name]["rate"], first=first)
    else:
        # No step fewer in float32, whose loss may pass the limit elsewhere.
        lowest = LOWEST if dtype == torch.float64 else 0
        result["losses"] = descend(forward, model.parameters(), labels, RATE, until=lambda loss: loss < lowest)
    return result


def margin(name, first):
    """Distance of the nearest ReLU's input from its bend in the first step, in units of what float32 errs there (root mean square)."""
    NETS[name]["first"] = first
    inputs = {}
    for dtype in (torch.float64, torch.float32):
        model = built(name, lambda *one: formula.initial(name, *one), dtype).train()
        seen = inputs[dtype] = []
        for module in model.modules():
            if isinstance(module, nn.ReLU):
                module.register_forward_pre_hook(lambda _, x: seen.append(array(x[0]).copy()))
        with torch.no_grad():
            model(batch(name, dtype)[0])
    pairs = zip(inputs[torch.float64], inputs[torch.float32])
    return min(float(np.abs(double).min() / np.sqrt(np.mean((double - single) ** 2))) for double, single in pairs)


def search(name, until):
    """The images to take: of those that begin before `until`, the ones whose nearest ReLU is farthest from its bend."""
    torch.set_num_threads(1)
    found = sorted(((margin(name, first), first) for first in range(until)), reverse=True)
    print(f"{name}: " + ", ".join(f"first {first}: {value:.1f}" for value, first in found[:5]))


def judged(norm, tensors):
    return {key: one for key, one in tensors.items() if one[0] > SMALLEST * norm}


def spread(single, double):
    """Largest difference in each quantity, as tests/unit/support/trainingSuite.ts measures it."""
    apart = {"losses": max(abs(a / b - 1) for a, b in zip(single["losses"], double["losses"]))}
    if "sketch" not in double:
        return apart
    norm = double["norm"]
    apart["gradient"] = max(np.linalg.norm(single["sketch"] - double["sketch"]), abs(single["norm"] - norm)) / norm
    apart["tensors"] = max(
        max(abs(a - b) for a, b in zip(single["tensors"][key], one)) / one[0] for key, one in judged(norm, double["tensors"]).items()
    )
    if "logits" not in double:
        return apart
    apart["logits"] = float(np.abs(single["logits"] - double["logits"]).max() / np.abs(double["logits"]).max())
    apart["statistics"] = max(
        max(abs(a - b) / scale for a, b, scale in zip(single["statistics"][key], one, (one[0], one[0], one[4], one[4])))
        for key, one in double["statistics"].items()
    )
    return apart


def checked(name, kind, apart):
    """Rounding differs from one processor to the next, and may turn a ReLU over: --check then says so, but fails by the losses alone."""
    print(f"{name}, {kind}: float32 is " + ", ".join(f"{value:.1e} away in {key}" for key, value in apart.items()), flush=True)
    check = "--check" in sys.argv[1:]
    for key, value in apart.items():
        if value > WIDEST and (key == "losses" or not check):
            sys.exit(f"{name}, {kind}: float32 is {value:.1e} away in {key}: too far for a comparison")
    if check:
        return json.loads((fixture.FOLDER / "training" / f"{name}.json").read_text())["runs"][kind]["spread"]
    return {key: float(f"{value:.0e}") for key, value in apart.items()}


def digits(value, n=7):
    return float(f"{value:.{n}g}") + 0.0


def written(name, results):
    """The fixture of one network. results: kind → (float32's, float64's)."""
    entry = {"settings": {key: NETS[name][key] for key in ("size", "first", "images", "rate", "head")} | {"classes": CLASSES}, "runs": {}}
    for kind, (single, double) in results.items():
        entry["runs"][kind] = {
            "spread": checked(name, kind, spread(single, double)),
            "losses": [round(loss, 8) for loss in double["losses"]],
        }
        if "sketch" in double:
            norm = double["norm"]
            # Of each tensor: its share of the gradient's norm, and its projection relative to its own.
            entry["gradient" if kind == "all" else "headGradient"] = {
                "norm": digits(norm, 8),
                "sketch": [round(value, 7) for value in (double["sketch"] / norm).tolist()],
                "tensors": {
                    key: [round(own / norm, 9), round(along / own, 6)] for key, (own, along) in judged(norm, double["tensors"]).items()
                },
            }
        if "logits" in double:
            entry["firstStep"] = {"momentum": double["momentum"], "logits": [round(value, 7) for value in double["logits"].tolist()]}
            # Of each batch norm: the variances' norm, their projection relative to it; the means' two, relative to the deviations' norm.
            entry["statistics"] = {
                key: [digits(v), round(pv / v, 6), round(m / deviation, 6), round(pm / deviation, 6), digits(deviation)]
                for key, (v, pv, m, pm, deviation) in double["statistics"].items()
            }
    return entry


if __name__ == "__main__":
    if "--search" in sys.argv[1:]:
        search(sys.argv[-2], int(sys.argv[-1]))
        sys.exit()
    jobs = [(name, kind, dtype) for name, net in NETS.items() for kind in net["runs"] for dtype in (torch.float64, torch.float32)]
    only = [word for word in sys.argv[1:] if not word.startswith("-")]
    jobs = [job for job in jobs if not only or job[0] in only]
    # One thread each: two runs side by side are faster than one with two.
    with ProcessPoolExecutor(2) as pool:
        found = dict(zip(jobs, pool.map(run, *zip(*jobs))))
    for name in {job[0]: None for job in jobs}:
        pairs = {kind: (found[name, kind, torch.float32], found[name, kind, torch.float64]) for kind in NETS[name]["runs"]}
        fixture.finish(f"training/{name}.json", written(name, pairs))
