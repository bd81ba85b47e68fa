"""Fixture tests/fixtures/preprocessing.json: what PIL and torchvision make of files, from their bytes to a network's logits.

decoded: PIL's pixels of every file of decoding.zip and of the photographs, orientation applied; 16-bit grey by its upper byte
resized, cropped: torchvision's Resize and its test transform of the photographs
loader: how ImageFolder's own loader differs from what is decoded above, where it does
logits: the test transform, normalised, through mobilenet_v3_small with weights by formula, in float64

Pixels are kept as SHA-256 of their RGB bytes and 127 of them, evenly spread, in base64: where a decoder differs they say by how much.
"""

import base64
import hashlib
import io
import zipfile

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision import models, transforms
from torchvision.datasets.folder import pil_loader

from fixture import FOLDER, finish
from formula import fill

PHOTOGRAPHS = sorted(path for path in (FOLDER / "photographs").iterdir() if path.suffix != ".md")
SIZES = (64, 224)
LOGITS_SIZE = 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def decoded(data):
    image = Image.open(io.BytesIO(data))
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)).convert("RGB")
    return ImageOps.exif_transpose(image).convert("RGB")


def described(image):
    data = np.asarray(image, np.uint8).ravel()
    samples = data[np.arange(127) * data.size // 127]
    return {
        "width": image.width,
        "height": image.height,
        "sha256": hashlib.sha256(data.tobytes()).hexdigest(),
        "samples": base64.b64encode(samples.tobytes()).decode(),
    }


def evaluation(size, geometry):
    """torchvision's test transform, as a list."""
    return [transforms.Resize((size, size))] if geometry == "squash" else [transforms.Resize(size), transforms.CenterCrop(size)]


def loader(path):
    """What ImageFolder hands on: no orientation, and of 16-bit grey everything above 255 white."""
    image = pil_loader(str(path))
    data = np.asarray(image)
    return {
        "mode": Image.open(path).mode,
        "width": image.width,
        "height": image.height,
        "white": round(float((data == 255).mean()), 4),
        "differs": not np.array_equal(data, np.asarray(decoded(path.read_bytes()))),
    }


def network(classes):
    torch.manual_seed(0)
    return fill(models.mobilenet_v3_small(weights=None, num_classes=classes)).eval()


def logits(images, geometry):
    transform = transforms.Compose(
        [*evaluation(LOGITS_SIZE, geometry), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    batch = torch.stack([transform(image) for image in images.values()])
    model = network(len(images))
    with torch.no_grad():
        single = model(batch).double()
        exact = model.double()(batch.double())
    print(f"{geometry}: logits from {exact.min():.2f} to {exact.max():.2f}")
    return {
        "float32Error": float((single - exact).abs().max()),
        **{name: [round(value, 7) for value in row] for name, row in zip(images, exact.tolist())},
    }


def main():
    torch.set_num_threads(1)
    with zipfile.ZipFile(FOLDER / "decoding.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files.update({f"photographs/{path.name}": path.read_bytes() for path in PHOTOGRAPHS})
    images = {path.name: decoded(path.read_bytes()) for path in PHOTOGRAPHS}
    resized = {
        f"{name}: {title}": {"to": to, **described(transforms.Resize(to)(image))}
        for name, image in images.items()
        for title, to in (("short side", 48), ("exact", (37, 91)))
    }
    cropped = {
        f"{name}: {size}, {geometry}": {"size": size, "geometry": geometry, **described(transforms.Compose(evaluation(size, geometry))(image))}
        for name, image in images.items()
        for size in SIZES
        for geometry in ("center_crop", "squash")
    }
    finish(
        "preprocessing.json",
        {
            "decoded": {name: described(decoded(data)) for name, data in files.items()},
            "resized": resized,
            "cropped": cropped,
            "loader": {path.name: loader(path) for path in PHOTOGRAPHS},
            "logits": {geometry: logits(images, geometry) for geometry in ("center_crop", "squash")},
        },
    )


main()
