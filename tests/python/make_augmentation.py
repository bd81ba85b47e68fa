"""Writes tests/fixtures/augmentation.json: torchvision's resized_crop, hflip, affine and colour steps for given parameters, twice.

Run with torchvision 0.14 (Debian's python3-torchvision): python3 tests/python/make_augmentation.py
`pil`: on PIL images, as in the seed pipeline, rounded to 8 bits after each step; base64 of uint8 [size, size, 3].
`exact`: the same steps on float64 tensors, never rounded; base64 of little-endian uint16 [size, size, 3], 257 to a level.
The affine takes the nearest pixel, torchvision's default. Where PIL and tensors differ by more than rounding, PIL is followed: in the share of
red in grey (0.299; tensors: 0.2989). The script sees to it that they differ in nothing else.
"""

import base64
import itertools

import numpy
import torch
from fixture import finish
from formula import uniform
from PIL import Image
from torchvision.transforms import functional as F
from torchvision.transforms import functional_tensor as F_t
from torchvision.transforms.functional import _get_inverse_affine_matrix


def picture(name, height, width):
    """uint8 [height, width, 3]: cells of 8 pixels under noise. "grey": as a 16-bit grey image in its upper 8 bits."""
    y, x = numpy.mgrid[0:height, 0:width]
    if name == "grey":
        value = ((x * 2731 + y * 1543) % 65536) // 256
        return numpy.repeat(value[..., None], 3, 2).astype(numpy.uint8)
    rows, columns = -(-height // 8), -(-width // 8)
    coarse = 2 * uniform(f"{name} coarse", rows * columns * 3).reshape(rows, columns, 3)[y // 8, x // 8] - 1
    fine = 2 * uniform(f"{name} fine", height * width * 3).reshape(height, width, 3) - 1
    return numpy.floor(128 + 80 * coarse + 47 * fine).astype(numpy.uint8)


ADJUST = {"brightness": F.adjust_brightness, "contrast": F.adjust_contrast, "saturation": F.adjust_saturation}


def on_pil(pixels, size, crop, flip, affine, jitter):
    image = F.resized_crop(Image.fromarray(pixels), *crop.values(), [size, size])
    if flip:
        image = F.hflip(image)
    image = F.affine(image, *affine.values())
    for kind, factor in jitter:
        image = ADJUST[kind](image, factor)
    return numpy.asarray(image)


def close(a, b, tolerance):
    assert (a - b).abs().max().item() <= tolerance, (a - b).abs().max().item()


def turned(image, affine):
    """F.affine on a tensor [3, size, size], each pixel from where PIL and torchvision's tensors take it."""
    size = image.shape[-1]
    places = numpy.arange(1, size * size + 1, dtype=numpy.int32).reshape(size, size)
    moved = torch.from_numpy(numpy.array(F.affine(Image.fromarray(places, "I"), *affine.values()))).long()
    # Two pixels that are equally near would be a matter of rounding; no case has such.
    close(F.affine(torch.from_numpy(places)[None].double(), *affine.values())[0], moved.double(), 0)
    flat = torch.cat([torch.zeros(3, 1, dtype=image.dtype), image.flatten(1)], 1)
    return flat[:, moved.flatten()].reshape(image.shape)


def recoloured(image, kind, factor):
    theirs = ADJUST[kind](image, factor)
    if kind == "brightness":
        return theirs
    grey = 0.299 * image[:1] + 0.587 * image[1:2] + 0.114 * image[2:]
    ours = F_t._blend(image, grey.mean() if kind == "contrast" else grey, factor)
    close(ours, theirs, 1.001e-4 * abs(1 - factor))
    return ours


def on_tensors(pixels, size, crop, flip, affine, jitter):
    image = torch.from_numpy(pixels).permute(2, 0, 1).double() / 255
    image = F.resized_crop(image, *crop.values(), [size, size], antialias=True)
    if flip:
        image = F.hflip(image)
    image = turned(image, affine)
    for kind, factor in jitter:
        image = recoloured(image, kind, factor)
    return image.permute(1, 2, 0).numpy()


def encoded(array):
    return base64.b64encode(numpy.ascontiguousarray(array).tobytes()).decode()


def box(top, left, height, width):
    return {"top": top, "left": left, "height": height, "width": width}


def moved(angle=0.0, translate=(0, 0), scale=1.0, shear=0.0):
    return {"angle": angle, "translate": list(translate), "scale": scale, "shear": [shear, 0.0]}


def cases():
    """name, picture, (height, width), size, crop, flip, affine, jitter"""
    whole = box(0, 0, 16, 16)
    near = box(2, 4, 35, 35)
    all_of_it = moved(-4.3, (1, -2), 0.96, -3.7)
    yield "crop enlarged", "a", (14, 17), 16, box(3, 2, 9, 11), False, moved(), []
    yield "crop reduced a little", "b", (29, 34), 24, box(1, 5, 27, 27), False, moved(), []
    yield "crop much reduced", "c", (76, 80), 16, box(5, 9, 70, 66), False, moved(), []
    yield "crop enlarged one way, reduced the other", "d", (30, 41), 16, box(1, 0, 13, 40), False, moved(), []
    yield "crop at the border", "e", (21, 33), 16, box(2, 14, 19, 19), False, moved(), []
    yield "mirrored", "f", (17, 23), 15, box(1, 3, 16, 18), True, moved(), []
    yield "turned", "g", (16, 16), 16, whole, False, moved(angle=12.0), []
    yield "turned far", "h", (16, 16), 16, whole, False, moved(angle=-137.0), []
    yield "moved", "i", (16, 16), 16, whole, False, moved(translate=(3, -2)), []
    yield "smaller", "j", (16, 16), 16, whole, False, moved(scale=0.73), []
    yield "larger", "k", (15, 15), 15, box(0, 0, 15, 15), False, moved(scale=1.63), []
    yield "sheared", "l", (16, 16), 16, whole, False, moved(shear=21.0), []
    yield "crop and affine", "m", (37, 45), 16, near, False, moved(12.0, (2, -1), 1.1, 8.0), []
    yield "crop, mirrored, affine", "m", (37, 45), 16, near, True, moved(12.0, (2, -1), 1.1, 8.0), []
    for kind, factor in [("brightness", 0.62), ("contrast", 0.71), ("saturation", 1.37)]:
        yield f"{kind} alone", "n", (16, 16), 16, whole, False, moved(), [[kind, factor]]
    for kind in ADJUST:
        yield f"{kind} 0", "n", (16, 16), 16, whole, False, moved(), [[kind, 0.0]]
        yield f"{kind} cut at 255", "n", (16, 16), 16, whole, False, moved(), [[kind, 1.9]]
    factors = [["brightness", 1.27], ["contrast", 0.74], ["saturation", 1.3]]
    for order in itertools.permutations(factors):
        name = ", ".join(kind for kind, _ in order)
        yield f"all of it: {name}", "o", (21, 19), 13, box(1, 0, 18, 17), False, all_of_it, list(order)
    yield "all of it, grey", "grey", (37, 45), 16, near, True, all_of_it, factors[::-1]
    yield "all of it, 24 px", "p", (29, 34), 24, box(2, 7, 27, 27), True, all_of_it, factors


def main():
    out = {}
    for name, source, (height, width), size, crop, flip, affine, jitter in cases():
        pixels = picture(source, height, width)
        exact = on_tensors(pixels, size, crop, flip, affine, jitter)
        out[name] = {
            "picture": source,
            "width": width,
            "height": height,
            "size": size,
            "crop": crop,
            "flip": flip,
            "affine": affine,
            "jitter": jitter,
            "matrix": _get_inverse_affine_matrix([size / 2, size / 2], *affine.values()),
            "pil": encoded(on_pil(pixels, size, crop, flip, affine, jitter)),
            "exact": encoded(numpy.round(exact * 255 * 257).astype("<u2")),
        }
    finish("augmentation.json", out)


if __name__ == "__main__":
    main()
