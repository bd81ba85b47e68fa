"""What the judges of the Python exports share: a network with weights by formula, our exports of it, and their folders."""

import json
import logging
import pathlib
import subprocess
import zipfile

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file

import formula
from make_training import Tiny

logging.disable(logging.WARNING)  # coremltools says much on Linux

from mil_interpreter import Package, require  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LABELS = ['MDT - "Azure", XT', "BSC - Ünïcode 心臓", "no maker, it's", "MDT - <b>&amp;</b>", "SJM - 50 % \\ {0}"]


def network(name, eps):
    """Weights by formula, the head's so large that the logits of noise spread by 2: a classifier with an opinion."""
    build = Tiny if name == "tiny" else getattr(torchvision.models, name)
    model = formula.fill(build(num_classes=len(LABELS))).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = eps
    head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        logits = model(torch.from_numpy(formula.images(4, 64)).permute(0, 3, 1, 2))
        head.weight *= 2 / logits.std(1).mean()
        head.bias *= 0
    return model


def probabilities(model, pixels, temperature):
    """In float64, of [size, size, 3] uint8."""
    x = (torch.from_numpy(pixels.copy()).double() / 255 - torch.tensor(MEAN).double()) / torch.tensor(STD).double()
    with torch.no_grad():
        logits = model.double()(x.permute(2, 0, 1)[None])[0]
    model.float()
    return torch.softmax(logits / temperature, 0).numpy()


def node(*arguments):
    done = subprocess.run(["node", "scripts/run.mjs", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    require(done.returncode == 0, f"node: {done.stderr.strip()[-2000:]}")


def export(model, formats, options, folder):
    """{format: the folder that its zip held}."""
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "weights.safetensors")
    arguments = []
    for format in formats:
        (folder / f"{format}.json").write_text(json.dumps({**options, "labels": LABELS, "format": format}))
        arguments += [folder / f"{format}.json", folder / f"{format}.zip"]
    node("tests/tools/exportFixture.ts", folder / "weights.safetensors", *arguments)
    found = {}
    for format in formats:
        with zipfile.ZipFile(folder / f"{format}.zip") as zipped:
            (top,) = {name.split("/")[0] for name in zipped.namelist()}
            zipped.extractall(folder / format)
        found[format] = folder / format / top
    return found


def pixels_of(image, size, geometry, folder):
    """As our own code decodes, resizes and crops a file."""
    node("tests/tools/evaluationPixels.ts", image, size, geometry, folder / "pixels.bin")
    return np.frombuffer((folder / "pixels.bin").read_bytes(), np.uint8).reshape(size, size, 3)


def run_package(folder, pixels):
    """A Core ML package by the interpreter in numpy: probabilities in the order of LABELS."""
    return probabilities_by(Package(folder), pixels)


def probabilities_by(package, pixels):
    found = package.run(pixels)
    require(set(found) == set(LABELS), f"the package's labels are {sorted(found)}")
    return np.array([found[label] for label in LABELS])
