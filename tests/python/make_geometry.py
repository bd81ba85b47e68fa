"""Fixture tests/fixtures/geometry.json: Pillow's and torchvision's pixels for resizes and evaluation crops.

Images are made by a formula that the test repeats; results are kept as SHA-256 of their RGB bytes, with the first pixels beside it.
"""
import hashlib
import math

import numpy as np
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from fixture import finish


def picture(width, height):
    i = np.arange(width * height * 3, dtype=np.int64)
    return Image.fromarray((((i * 2654435761) >> 7) % 256).astype(np.uint8).reshape(height, width, 3))


def described(image, **what):
    data = np.asarray(image, np.uint8)
    digest = hashlib.sha256(data.tobytes()).hexdigest()
    return {**what, "outWidth": image.width, "outHeight": image.height, "sha256": digest, "first": data.ravel()[:12].tolist()}


def main():
    resizes = [
        described(picture(w, h).resize((x, y), Image.BILINEAR), width=w, height=h, x=x, y=y)
        for w, h, x, y in [
            (64, 48, 32, 24), (65, 49, 31, 17), (100, 100, 37, 64), (7, 5, 21, 20), (33, 64, 33, 20), (33, 64, 90, 64),
            (500, 333, 64, 43), (3, 200, 2, 7), (1, 1, 5, 5), (256, 256, 224, 224), (64, 64, 64, 64),
        ]
    ]
    crops = []
    for w, h, size in [(128, 128, 64), (74, 74, 64), (101, 64, 64), (64, 99, 64), (97, 75, 64), (300, 258, 224), (31, 40, 64), (64, 67, 64), (69, 64, 64)]:
        resize = InterpolationMode.BILINEAR
        centre = transforms.Compose([transforms.Resize(size, resize), transforms.CenterCrop(size)])
        squash = transforms.Resize((size, size), resize)
        for geometry, transform in (("center_crop", centre), ("squash", squash)):
            crops.append(described(transform(picture(w, h)), width=w, height=h, size=size, geometry=geometry))
    caches = []
    for w, h, size in [(1600, 1200, 224), (1200, 1600, 224), (258, 300, 224), (259, 777, 224), (100, 80, 224), (1000, 333, 96), (640, 480, 64), (150, 75, 64)]:
        short = math.ceil(size * 115 / 100)
        image = Image.new("RGB", (w, h))
        cache = image if min(w, h) <= short else transforms.Resize(short)(image)
        caches.append(
            {"width": w, "height": h, "imgSize": size, "cacheWidth": cache.width, "cacheHeight": cache.height}
        )
    cases = {"resizes": resizes, "crops": crops, "caches": caches}
    finish("geometry.json", {name: {str(i): case for i, case in enumerate(some)} for name, some in cases.items()})


main()
