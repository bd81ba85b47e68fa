"""tests/fixtures/shapes.json: output shape [H, W, C] or [C] of torchvision's modules at several image sizes, and multiply-adds, by forward hooks.

A module that is called more than once in a pass (ResNet's relu) has no one shape and is left out.
"""

import torch
import torchvision
from torch import nn

import fixture

SIZES = [75, 224]


def run(name):
    model = getattr(torchvision.models, name)(num_classes=45).eval()
    result = {}
    for size in SIZES:
        shapes, calls, macs = {}, {}, 0

        def hook(path, module, inputs, output):
            nonlocal macs
            calls[path] = calls.get(path, 0) + 1
            shapes[path] = [*output.shape[2:], output.shape[1]]
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                macs += output.numel() * module.weight[0].numel()

        handles = [
            module.register_forward_hook(lambda m, i, o, path=path: hook(path, m, i, o))
            for path, module in model.named_modules()
            if not list(module.children())
        ]
        with torch.no_grad():
            model(torch.zeros(1, 3, size, size))
        for handle in handles:
            handle.remove()
        result[f"{size} px"] = {"macs": macs, "shapes": {k: v for k, v in shapes.items() if calls[k] == 1}}
    return result


if __name__ == "__main__":
    fixture.finish("shapes.json", {name: run(name) for name in ["densenet121", "resnet50", "mobilenet_v3_small"]})
