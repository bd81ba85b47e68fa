"""PyTorch's side of `npm run verify -- digits`: the same images, split, recipe and seeds; test accuracy after each epoch.

python3 tests/python/digits_pytorch.py --zip sign-language-digits.zip --way random --seeds 1 2 3 [--weights FILE.safetensors]
torch and torchvision on the CPU (Debian's python3-torch, python3-torchvision), Pillow, numpy; about 40 s a run on two threads.
`--weights`: a start for every seed (`all`, `head`: ImageNet weights, whose head is replaced). Nothing of ours is used.
"""
import argparse
import hashlib
import io
import json
import struct
import zipfile

import numpy
import torch
import torchvision
from PIL import Image
from torchvision.transforms import functional as F

MEAN = numpy.array([0.485, 0.456, 0.406])
STD = numpy.array([0.229, 0.224, 0.225])


def images(path):
    archive = zipfile.ZipFile(path)
    names = [n for n in archive.namelist() if n.lower().endswith((".jpg", ".jpeg", ".png")) and "__MACOSX" not in n]
    classes = sorted({name.split("/")[-2] for name in names})
    pixels, labels, test = [], [], []
    for name in sorted(names):
        image = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
        image = F.center_crop(F.resize(image, 96), 96)
        pixels.append(((numpy.asarray(image) / 255 - MEAN) / STD).astype("float32").transpose(2, 0, 1))
        labels.append(classes.index(name.split("/")[-2]))
        test.append(int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5 == 0)
    return torch.tensor(numpy.stack(pixels)), torch.tensor(labels), torch.tensor(test)


def safetensors(path):
    data = open(path, "rb").read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = torch.tensor(numpy.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).copy())
    return tensors


def train(way, seed, weights, pixels, labels, test):
    torch.manual_seed(seed)
    network = torchvision.models.mobilenet_v3_small(num_classes=10)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    if way != "random":
        kept = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier.3.")}
        network.load_state_dict(kept, strict=False)
        network.classifier[3].reset_parameters()
    trained = network.classifier[3].parameters() if way == "head" else network.parameters()
    optimiser = torch.optim.Adam(trained, 1e-3)
    train_indices, test_indices = torch.where(~test)[0], torch.where(test)[0]
    accuracies = []
    for _ in range(6):
        network.train(way != "head")
        order = train_indices[torch.randperm(len(train_indices))]
        for at in range(0, len(order), 32):
            batch = order[at : at + 32]
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(network(pixels[batch]), labels[batch]).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            guesses = torch.cat([network(part).argmax(1) for part in pixels[test_indices].split(64)])
        accuracies.append(float((guesses == labels[test_indices]).float().mean()))
    return accuracies


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--zip", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--way", choices=["head", "all", "random"], required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = parser.parse_args()
    weights = safetensors(given.weights) if given.weights else {}
    data = images(given.zip)
    means = []
    for seed in given.seeds:
        accuracies = train(given.way, seed, weights, *data)
        means.append(sum(accuracies[-3:]) / 3)
        each = " ".join(f"{value:.3f}" for value in accuracies)
        print(f"{given.way}, seed {seed}: {each} · last three {means[-1]:.3f}", flush=True)
    print(f"mean {sum(means) / len(means):.3f}")


if __name__ == "__main__":
    main()
