"""Writes tests/fixtures/augmentation.json: torchvision's RandomResizedCrop, RandomAffine and ColorJitter for given parameters.

Run with torchvision 0.14 (Debian's python3-torchvision): python3 tests/python/make_augmentation.py
Images are PIL, as in the seed pipeline; the affine is taken bilinear (torchvision's default is nearest).
"""
import base64

import numpy
from fixture import finish
from PIL import Image
from torchvision.transforms import functional as F
from torchvision.transforms.functional import InterpolationMode, _get_inverse_affine_matrix

SIZE = 32


def picture(height, width):
    y, x = numpy.mgrid[0:height, 0:width].astype(float)
    red = 120 + 80 * numpy.sin(x / 5) * numpy.cos(y / 7)
    green = 100 + 90 * numpy.cos(x / 9 + y / 6)
    blue = 40 + 3 * x + 1.5 * y
    return numpy.clip(numpy.stack([red, green, blue], -1), 0, 255).astype(numpy.uint8)


def encoded(array):
    return base64.b64encode(numpy.ascontiguousarray(array).tobytes()).decode()


ADJUST = {"brightness": F.adjust_brightness, "contrast": F.adjust_contrast, "saturation": F.adjust_saturation}


def augmented(image, crop, affine, jitter):
    image = F.resized_crop(image, crop["top"], crop["left"], crop["height"], crop["width"], [SIZE, SIZE])
    image = F.affine(
        image,
        affine["angle"],
        affine["translate"],
        affine["scale"],
        affine["shear"],
        interpolation=InterpolationMode.BILINEAR,
    )
    for kind, factor in jitter:
        image = ADJUST[kind](image, factor)
    return image


def main():
    none = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    turned = {"angle": 12.0, "translate": [3, -2], "scale": 1.1, "shear": [8.0, 0.0]}
    seed_like = {"angle": -4.3, "translate": [1, 1], "scale": 0.96, "shear": [-3.7, 0.0]}
    near = {"top": 2, "left": 4, "height": 35, "width": 35}
    cases = [
        ("crop alone", (37, 45), near, none, []),
        ("affine alone", (32, 32), {"top": 0, "left": 0, "height": 32, "width": 32}, turned, []),
        ("crop and affine", (37, 45), near, seed_like, []),
        ("all of it", (37, 45), near, turned, [["contrast", 1.25], ["brightness", 0.8], ["saturation", 1.3]]),
        ("another order", (37, 45), near, seed_like, [["saturation", 0.7], ["contrast", 0.75], ["brightness", 1.3]]),
        ("a much larger source", (76, 80), {"top": 5, "left": 9, "height": 70, "width": 70}, turned, []),
    ]
    out = {}
    for name, (height, width), crop, affine, jitter in cases:
        pixels = picture(height, width)
        result = numpy.asarray(augmented(Image.fromarray(pixels), crop, affine, jitter))
        matrix = _get_inverse_affine_matrix(
            [SIZE / 2, SIZE / 2], affine["angle"], affine["translate"], affine["scale"], affine["shear"]
        )
        out[name] = {
            "size": SIZE,
            "width": width,
            "height": height,
            "pixels": encoded(pixels),
            "crop": crop,
            "affine": affine,
            "jitter": jitter,
            "matrix": matrix,
            "expected": encoded(result),
        }
    finish("augmentation.json", out)


if __name__ == "__main__":
    main()
