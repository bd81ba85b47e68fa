"""tests/fixtures/state_dicts.json: names and shapes of torchvision's own state_dicts, in order, without num_batches_tracked.

For 1000 classes in full; for 45 the entries whose shape differs. Also the number of trainable parameters, what images are normalised
with for torchvision's ImageNet weights, and eps and momentum of each batch norm.
"""

import torch
import torchvision

import fixture

WEIGHTS = {
    "densenet121": "DenseNet121_Weights",
    "resnet50": "ResNet50_Weights",
    "mobilenet_v3_small": "MobileNet_V3_Small_Weights",
}


def entries(name, classes):
    model = getattr(torchvision.models, name)(num_classes=classes)
    shapes = {k: list(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    return shapes, sum(p.numel() for p in model.parameters())


def batch_norms(name):
    modules = getattr(torchvision.models, name)().named_modules()
    return {k: [m.eps, m.momentum] for k, m in modules if isinstance(m, torch.nn.BatchNorm2d)}


def run(name):
    shapes, parameters = entries(name, 1000)
    shapes45, parameters45 = entries(name, 45)
    assert list(shapes) == list(shapes45)
    transforms = torchvision.models.get_weight(f"{WEIGHTS[name]}.IMAGENET1K_V1").transforms()
    return {
        "mean": transforms.mean,
        "std": transforms.std,
        "batchNorms": batch_norms(name),
        "parameters": parameters,
        "parametersWith45Classes": parameters45,
        "entries": list(shapes.items()),
        "otherwiseWith45Classes": {k: v for k, v in shapes45.items() if v != shapes[k]},
    }


if __name__ == "__main__":
    fixture.finish("state_dicts.json", {name: run(name) for name in WEIGHTS})
