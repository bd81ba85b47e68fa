"""tests/fixtures/timm.json: timm's own networks on weights by formula under timm's names, for files that timm wrote.

Names, shapes and BatchNorm's eps as timm builds its networks; logits in eval mode and, of MobileNetV3, in train mode (timm has no
dropout there by default), float64. Of DenseNet121 and ResNet50 the fixture says that all names and shapes are torchvision's.
MobileNetV3's gammas are an eighth and its running variances a 128th of formula.py's: with 1e-3 instead of 1e-5 other logits come out.

Run with Debian's torch and torchvision and timm 1.0.31 (`pip install --no-deps --target FOLDER timm==1.0.31`, PYTHONPATH=FOLDER);
--check compares with the committed file.
"""

import timm
import torch
import torchvision

import fixture
import formula

CLASSES = 5
SIZE = 64
IMAGES = 4
NETWORKS = [
    ("densenet121", "densenet121"),
    ("resnet50", "resnet50"),
    ("mobilenet_v3_small", "mobilenetv3_small_100"),
]


def tensor(name, shape, small):
    values = torch.from_numpy(formula.tensor(name, shape))
    if not small:
        return values
    if name.endswith("running_var"):
        return values / 128
    return values / 8 if name.endswith("weight") and len(shape) == 1 else values


def shapes(model):
    return {
        name: list(value.shape)
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def run(ours, theirs):
    model = timm.create_model(theirs, num_classes=CLASSES)
    names = shapes(model)
    same = list(names.items()) == list(shapes(getattr(torchvision.models, ours)(num_classes=CLASSES)).items())
    values = {name: tensor(name, tuple(shape), small=not same) for name, shape in names.items()}
    model.load_state_dict(values, strict=False)
    (eps,) = {module.eps for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)}
    images = torch.from_numpy(formula.images(IMAGES, SIZE)).permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        single = model.eval()(images).double()
        exact = model.double()(images.double())
        training = model.train()(images.double())
    rounded = lambda values: [round(v, 7) for v in values.flatten().tolist()]
    return {
        "timm": theirs,
        "batchNormEps": eps,
        "torchvisionsNames": same,
        "float32Error": float(f"{((single - exact).abs().max() / exact.abs().max()).item():.0e}"),
        "logits": rounded(exact),
        "trainLogits": None if same else rounded(training),
        "shapes": None if same else names,
    }


if __name__ == "__main__":
    torch.set_num_threads(2)
    head = {"timm": timm.__version__, "classes": CLASSES, "size": SIZE, "images": IMAGES}
    fixture.finish("timm.json", {"of": head, **{ours: run(ours, theirs) for ours, theirs in NETWORKS}})
