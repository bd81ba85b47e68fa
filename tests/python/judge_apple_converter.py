"""Compares our package with the one that Apple's converter makes of the same network and weights.

    python tests/python/judge_apple_converter.py ARCHITECTURE PRECISION [--weights FILE.safetensors] [--classes N] [--size PX]

ARCHITECTURE: mobilenet_v3_small, resnet50, densenet121. PRECISION: float16, float32. Without --weights: torchvision's random
initialisation of seed 0, batch-norm statistics set by one pass over noise. Wants torch, torchvision, coremltools and node.

Both packages run in the same numpy interpreter; torchvision's own probabilities are the truth. Prints op counts, sizes and the
differences. Exit code 1 where our package differs from torch by more than judge_coreml.py allows, or by more than twice what
Apple's does (float16), or has other convolutions, batch norms, linear layers or weights than Apple's.
"""

import argparse
import base64
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")

import coremltools as ct  # noqa: E402
import torch  # noqa: E402
import torchvision  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from judge_coreml import TOLERANCE, judge, unpack  # noqa: E402
from mil_interpreter import BadPackage, Package, require  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAME_COUNT = ["conv", "batch_norm", "linear", "concat", "max_pool", "avg_pool", "reduce_mean", "softmax", "classify", "relu"]


class WithPreprocessing(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x):
        return torch.softmax(self.network((x / 255 - self.mean) / self.std), 1)


def build(arguments, size):
    torch.manual_seed(0)
    network = getattr(torchvision.models, arguments.architecture)(weights=None, num_classes=arguments.classes)
    if arguments.weights:
        network.load_state_dict(load_file(arguments.weights), strict=False)
    else:
        network.train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            network(torch.randn(16, 3, size, size))
            # Random networks are all but indifferent: spread the logits, so that the probabilities tell something.
            model = WithPreprocessing(network).eval()
            probe = torch.from_numpy(np.stack(make_images(8, size))).permute(0, 3, 1, 2).float()
            spread = model.network((probe / 255 - model.mean) / model.std).std(1).mean()
            head = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
            head.weight *= 2 / spread
            head.bias *= 0
    return WithPreprocessing(network).eval()


def make_images(count, size):
    """Smooth noise: coloured blobs and edges, so that activations are like a photograph's rather than like static."""
    generator = np.random.default_rng(1)
    images = []
    for _ in range(count):
        coarse = torch.from_numpy(generator.uniform(0, 255, (1, 3, 7, 7)).astype(np.float32))
        smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)[0].numpy()
        noisy = smooth.transpose(1, 2, 0) + generator.normal(0, 12, (size, size, 3))
        images.append(np.clip(np.round(noisy), 0, 255).astype(np.uint8))
    return images


def convert_with_apple(model, labels, size, precision, path):
    traced = torch.jit.trace(model, torch.rand(1, 3, size, size) * 255)
    converted = ct.convert(
        traced,
        inputs=[ct.ImageType(name="image", shape=(1, 3, size, size))],
        classifier_config=ct.ClassifierConfig(labels),
        minimum_deployment_target=ct.target.iOS15,
        compute_precision=getattr(ct.precision, precision.upper()),
        skip_model_load=True,
    )
    converted.save(str(path))
    return Package(path)


def export_ours(model, arguments, labels, size, folder):
    tensors = {name: t.contiguous() for name, t in model.network.state_dict().items()}
    save_file(tensors, folder / "weights.safetensors")
    options = {"architecture": arguments.architecture, "labels": labels, "imageSize": size, "precision": arguments.precision}
    (folder / "options.json").write_text(json.dumps(options))
    archive = folder / "ours.zip"
    command = ["node", "scripts/run.mjs", "tests/tools/exportFixture.ts"]
    files = [folder / "weights.safetensors", folder / "options.json", archive]
    print(subprocess.run([*command, *map(str, files)], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip())
    return archive


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("architecture")
    parser.add_argument("precision", choices=["float16", "float32"])
    parser.add_argument("--weights")
    parser.add_argument("--classes", type=int, default=45)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=4)
    arguments = parser.parse_args()
    size = arguments.size
    labels = [f"MAKER - Model {n}" for n in range(arguments.classes)]
    model = build(arguments, size)
    images = make_images(arguments.images, size)
    with torch.no_grad():
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
        truth = model(batch).numpy().astype(np.float64)
    print(f"torchvision {torchvision.__version__}: highest probabilities {np.round(truth.max(1), 3).tolist()}")

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        archive = export_ours(model, arguments, labels, size, folder)
        (folder / "predictions.json").write_text(
            json.dumps(
                {
                    "imageSize": size,
                    "labels": labels,
                    "images": [
                        {
                            "rgb": base64.b64encode(image.tobytes()).decode(),
                            "probabilities": dict(zip(labels, probabilities.tolist())),
                        }
                        for image, probabilities in zip(images, truth)
                    ],
                }
            )
        )
        complaint = None
        try:
            judge(str(archive), str(folder / "predictions.json"))
        except BadPackage as refused:
            complaint = refused
            print(f"judge_coreml: {refused}")
        apple = convert_with_apple(model, labels, size, arguments.precision, folder / "apple.mlpackage")
        ours = Package(unpack(archive, folder / "unpacked"))

        for who, package in (("ours ", ours), ("Apple", apple)):
            counts = {kind: count for kind, count in sorted(package.op_counts.items())}
            print(f"{who}: weight.bin {package.weight_bytes:,} bytes, {package.weights.count} blobs; {counts}")
        worst = {}
        for who, package in (("ours", ours), ("Apple", apple)):
            answers = [package.run(image) for image in images]
            found = np.array([[answer[label] for label in labels] for answer in answers])
            worst[who] = float(np.abs(found - truth).max())
        print(f"max |Δp| from torch: ours {worst['ours']:.3g}, Apple's {worst['Apple']:.3g} ({arguments.precision})")

        for kind in SAME_COUNT:
            # coremltools writes a concat of one; we don't.
            mine, theirs = ours.op_counts.get(kind, 0), apple.op_counts.get(kind, 0)
            require(mine == theirs or (kind == "concat" and mine <= theirs), f"{kind}: {mine}, Apple's has {theirs}")
        require(ours.weight_bytes <= 1.01 * apple.weight_bytes, "our weight file is larger than Apple's")
        require(worst["Apple"] < 0.05, "Apple's package is far from torch: the comparison says nothing")
        if complaint is not None and arguments.precision == "float16":
            require(worst["ours"] <= 2 * worst["Apple"], f"{complaint}; and Apple's own package is closer")
            print(f"float16 alone costs more than {TOLERANCE[True]:g} here, in Apple's package too")
        elif complaint is not None:
            raise complaint


if __name__ == "__main__":
    try:
        main()
    except BadPackage as complaint:
        print(f"REFUSED: {complaint}")
        sys.exit(1)
    print("ACCEPTED: the package agrees with torch and with Apple's converter")
