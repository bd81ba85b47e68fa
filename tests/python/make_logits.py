"""tests/fixtures/logits.json: torchvision's logits, eval mode, for weights and images by formula (formula.py).

Run with torch and torchvision 0.14 (Debian 12: python3-torchvision); --check compares with the committed file.
Logits are of the float64 run; float32Error is how far torch's own float32 run is from it.
"""

import torch
import torchvision

import fixture
import formula

CASES = [(45, 64), (45, 75), (1000, 64)]
IMAGES = 2


def run(name):
    rows = {}
    for classes, size in CASES:
        model = formula.fill(getattr(torchvision.models, name)(num_classes=classes)).eval()
        images = torch.from_numpy(formula.images(IMAGES, size)).permute(0, 3, 1, 2).contiguous()
        with torch.no_grad():
            single = model(images).double()
            exact = model.double()(images.double())
        rows[f"{classes} classes, {size} px"] = {
            "classes": classes,
            "size": size,
            "images": IMAGES,
            # One figure: it differs between processors.
            "float32Error": float(f"{(single - exact).abs().max().item():.0e}"),
            "logits": [round(v, 7) for v in exact.flatten().tolist()],
        }
    return rows


if __name__ == "__main__":
    torch.set_num_threads(2)
    fixture.finish("logits.json", {name: run(name) for name in ["densenet121", "resnet50", "mobilenet_v3_small"]})
