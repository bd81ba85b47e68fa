"""tests/fixtures/formula.json: a few values of formula.py, so that the TypeScript side can be seen to give the same bits."""

import numpy as np

import fixture
import formula

TENSORS = {
    "features.conv0.weight": (64, 3, 7, 7),
    "features.denseblock1.denselayer1.norm1.weight": (64,),
    "features.denseblock1.denselayer1.norm1.bias": (64,),
    "features.denseblock1.denselayer1.norm1.running_mean": (64,),
    "features.denseblock1.denselayer1.norm1.running_var": (64,),
    "layer1.0.bn3.weight": (256,),
    "classifier.3.weight": (45, 1024),
    "classifier.3.bias": (45,),
}

INITIAL = {
    "densenet121": {"features.conv0.weight": (64, 3, 7, 7), "classifier.weight": (5, 1024)},
    "resnet50": {"conv1.weight": (64, 3, 7, 7), "layer1.0.bn3.weight": (256,), "fc.weight": (5, 2048), "fc.bias": (5,)},
    "mobilenet_v3_small": {"features.1.block.0.0.weight": (16, 1, 3, 3), "classifier.3.weight": (5, 1024)},
    "tiny": {"features.0.norm.running_var": (16,), "classifier.weight": (5, 128)},
}


def sample(values):
    at = sorted({int(i) for i in np.linspace(0, values.size - 1, 8)})
    return at, [float(values.reshape(-1)[i]) for i in at]


def tensors():
    for name, shape in TENSORS.items():
        at, values = sample(formula.tensor(name, shape))
        yield name, {"shape": list(shape), "at": at, "values": values}


def initial(architecture):
    for name, shape in INITIAL[architecture].items():
        at, values = sample(formula.initial(architecture, name, shape))
        yield name, {"shape": list(shape), "at": at, "values": values}


def images():
    for size in (64, 75):
        at, values = sample(formula.images(2, size))
        yield str(size), {"at": at, "values": values}


if __name__ == "__main__":
    values = {"tensors": dict(tensors()), "initial": {name: dict(initial(name)) for name in INITIAL}, "images": dict(images())}
    fixture.finish("formula.json", values)
