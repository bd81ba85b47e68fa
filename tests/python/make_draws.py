"""Writes tests/fixtures/draws.json: how torchvision's random transforms distribute what they draw.

Run with torchvision 0.14 (Debian's python3-torchvision): python3 tests/python/make_draws.py
20,000 draws of each transform's own get_params. For each quantity values at its quantiles and how many draws are not above each; for each
pair how many fall into each of 4 × 4 cells, cut at the quartiles, so that what must be independent can be seen to be; and how often each
order came.
"""

import itertools

import torch
from fixture import finish
from torchvision import transforms as T

DRAWS = 20_000
QUANTILES = 24


def quantiles(values, count):
    ordered = sorted(values)
    return sorted({ordered[i * len(ordered) // count] for i in range(1, count)})


def cells(values, edges):
    return [sum(value > edge for edge in edges) for value in values]


def distribution(drawn, pairs):
    """drawn: name -> values, pairs: of such names."""
    out = {"draws": DRAWS, "quantities": {}, "pairs": []}
    for name, values in drawn.items():
        at = quantiles(values, QUANTILES)
        out["quantities"][name] = {"at": at, "below": [sum(value <= edge for value in values) for edge in at]}
    for one, other in pairs:
        edges = [quantiles(drawn[one], 4), quantiles(drawn[other], 4)]
        counts = [[0] * (len(edges[1]) + 1) for _ in range(len(edges[0]) + 1)]
        for i, j in zip(cells(drawn[one], edges[0]), cells(drawn[other], edges[1])):
            counts[i][j] += 1
        out["pairs"].append({"of": [one, other], "at": edges, "counts": counts})
    return out


def crop(width, height, scale, ratio):
    image = torch.empty(3, height, width)
    found = {"width": [], "height": [], "area": [], "ratio": [], "left": [], "top": []}
    for _ in range(DRAWS):
        top, left, h, w = T.RandomResizedCrop.get_params(image, scale, ratio)
        for name, value in zip(found, [w, h, w * h, w / h, (left + 0.5) / (width - w + 1), (top + 0.5) / (height - h + 1)]):
            found[name].append(value)
    pairs = [("width", "height"), ("left", "top"), ("width", "left")]
    return {
        "settings": {"crop_scale": scale, "crop_ratio": ratio},
        "source": [width, height],
        **distribution(found, pairs),
    }


def affine(size, degrees, translate, scale, shear):
    transform = T.RandomAffine(degrees, (translate, translate), scale, shear)
    found = {"angle": [], "x": [], "y": [], "scale": [], "shear": []}
    for _ in range(DRAWS):
        angle, (x, y), factor, (shear_x, shear_y) = T.RandomAffine.get_params(
            transform.degrees, transform.translate, transform.scale, transform.shear, [size, size]
        )
        assert shear_y == 0
        for name, value in zip(found, [angle, x, y, factor, shear_x]):
            found[name].append(value)
    return {
        "settings": {"degrees": degrees, "translate": translate, "scale": scale, "shear": shear},
        "size": size,
        **distribution(found, list(itertools.combinations(found, 2))),
    }


KINDS = ["brightness", "contrast", "saturation"]


def jitter(**strengths):
    transform = T.ColorJitter(**strengths)
    ranges = [getattr(transform, kind) for kind in KINDS]
    used = [kind for kind, its in zip(KINDS, ranges) if its is not None]
    found = {kind: [] for kind in used}
    orders = {}
    for _ in range(DRAWS):
        order, *factors = T.ColorJitter.get_params(*ranges, transform.hue)
        names = [KINDS[i] for i in order.tolist() if i < 3 and KINDS[i] in used]
        for kind, factor in zip(KINDS, factors):
            if kind in used:
                found[kind].append(factor)
        key = " ".join(names)
        orders[key] = orders.get(key, 0) + 1
    return {
        "settings": {kind: strengths.get(kind, 0) for kind in KINDS},
        "orders": dict(sorted(orders.items())),
        **distribution(found, list(itertools.combinations(used, 2))),
    }


def flip(share):
    transform = T.RandomHorizontalFlip(share)
    image = torch.tensor([[[0, 1]]])
    mirrored = sum(transform(image)[0, 0, 0].item() for _ in range(DRAWS))
    return {"settings": {"horizontal_flip": share}, "draws": DRAWS, "mirrored": mirrored}


def main():
    torch.manual_seed(20190512)
    finish(
        "draws.json",
        {
            "crop, square, default": crop(257, 257, [0.9, 1.0], [1.0, 1.0]),
            "crop, square, wide": crop(150, 150, [0.08, 1.0], [0.75, 4 / 3]),
            "crop, upright, wide": crop(90, 160, [0.08, 1.0], [0.5, 2.0]),
            "crop, broad, often the fallback": crop(200, 110, [0.4, 1.0], [0.9, 1.2]),
            "affine, default": affine(224, 5, 0.05, [0.95, 1.05], 5),
            "affine, wide": affine(65, 180, 0.3, [0.5, 2.0], 30),
            "jitter, default": jitter(brightness=0.3, contrast=0.3, saturation=0.3),
            "jitter, wide": jitter(brightness=1.0, contrast=0.6, saturation=0.05),
            "jitter, two": jitter(brightness=0.4, saturation=0.4),
            "flip": flip(0.3),
        },
    )


if __name__ == "__main__":
    main()
