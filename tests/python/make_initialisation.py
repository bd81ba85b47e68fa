"""tests/fixtures/initialisation.json: standard deviation of what torchvision's constructors draw, for every convolution and linear layer.

Zero for a constant 0. Batch norms are seen here to be 1, 0, 0, 1. `linear` is torch's own nn.Linear, as for a replaced head.
"""

import torch
import torchvision
from torch import nn

import fixture

BATCH_NORM = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}


def deviation(values):
    return float(f"{values.double().pow(2).mean().sqrt().item():.5g}")


def run(name):
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(num_classes=1000)
    norms = {path for path, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    result = {}
    for key, value in model.state_dict().items():
        path, kind = key.rsplit(".", 1)
        if path in norms:
            assert kind == "num_batches_tracked" or bool((value == BATCH_NORM[kind]).all()), key
        else:
            result[key] = deviation(value)
    return result


def linear():
    torch.manual_seed(0)
    layer = nn.Linear(1024, 450)
    return {key: {"deviation": deviation(v), "largest": v.abs().max().item()} for key, v in layer.state_dict().items()}


if __name__ == "__main__":
    nets = {name: run(name) for name in ["densenet121", "resnet50", "mobilenet_v3_small"]}
    # Random numbers of another processor may differ in the last bits.
    fixture.finish("initialisation.json", {**nets, "linear": linear()}, tolerance=1e-3)
