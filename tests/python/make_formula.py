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


def sample(values):
    at = sorted({int(i) for i in np.linspace(0, values.size - 1, 8)})
    return at, [float(values.reshape(-1)[i]) for i in at]


def tensors():
    for name, shape in TENSORS.items():
        at, values = sample(formula.tensor(name, shape))
        yield name, {"shape": list(shape), "at": at, "values": values}


def images():
    for size in (64, 75):
        at, values = sample(formula.images(2, size))
        yield str(size), {"at": at, "values": values}


if __name__ == "__main__":
    fixture.finish("formula.json", {"tensors": dict(tensors()), "images": dict(images())})
