"""Does the coremltools kit, run as it is, make with Apple's converter the package that we write ourselves?

    python tests/python/judge_kit.py [NETWORK …]        default: tiny and the three backbones

In both precisions, at 64 px, two images, with weights by formula, a temperature and an epsilon of their own: the exported convert.py in a process
of its own; its package and ours, both run by mil_interpreter.py, and torch. Also what the package says of itself. Wants torch, torchvision,
safetensors, coremltools, node.
"""

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

from exported import LABELS, export, network, probabilities, probabilities_by  # noqa: E402
from mil_interpreter import BadPackage, Package, require  # noqa: E402

SIZE, TEMPERATURE, EPS = 64, 1.7, 2e-3
TOLERANCE = {"float32": 1e-5, "float16": 5e-3}


def images(count):
    """Coloured cells and noise."""
    generator = np.random.default_rng(1)
    cells = generator.uniform(0, 255, (count, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
    return np.clip(np.round(cells + generator.normal(0, 12, cells.shape)), 0, 255).astype(np.uint8)


def converted(kit, out):
    done = subprocess.run([sys.executable, str(kit / "convert.py"), str(out)], capture_output=True, text=True)
    require(done.returncode == 0, f"convert.py: {done.stderr.strip()[-2000:]}")
    path = out / "PacerIDClassifier.mlpackage"
    require(path.is_dir() and done.stdout.splitlines()[-1] == str(path), "convert.py doesn't say where the package is")
    return path


def same_description(theirs, ours):
    """Inputs, outputs and what is said of the model."""
    mine, apple = ours.spec.description, theirs.spec.description
    require([f.name for f in apple.input] == [f.name for f in mine.input] == ["image"], "the inputs' names")
    image, own = apple.input[0].type.imageType, mine.input[0].type.imageType
    require((image.width, image.height, image.colorSpace) == (own.width, own.height, own.colorSpace), "the inputs' images")
    require([f.name for f in apple.output] == [f.name for f in mine.output], f"the outputs: {[f.name for f in apple.output]}")
    require(apple.predictedProbabilitiesName == mine.predictedProbabilitiesName, "the probabilities' name")
    require(theirs.labels == ours.labels == LABELS, "the labels, or their order")
    require(theirs.spec.specificationVersion == ours.spec.specificationVersion, "the version of the specification")
    a, b = apple.metadata, mine.metadata
    require((a.author, a.shortDescription, a.versionString) == (b.author, b.shortDescription, b.versionString), "author, description or version")
    missing = {key for key, value in b.userDefined.items() if a.userDefined[key] != value}
    require(not missing, f"its metadata lacks {sorted(missing)}")


def judge(name, precision, model, folder):
    """The largest |Δp|."""
    options = {"architecture": name, "imageSize": SIZE, "precision": precision, "temperature": TEMPERATURE, "batchNormEps": EPS}
    folders = export(model, ["coremltools_kit", "mlpackage"], options, folder)
    require(json.loads((folders["coremltools_kit"] / "labels.json").read_text()) == LABELS, "labels.json")
    apple, ours = Package(converted(folders["coremltools_kit"], folder)), Package(folders["mlpackage"])
    same_description(apple, ours)
    require(apple.is_float16 == ours.is_float16 == (precision == "float16"), f"{name}, {precision}: a package is of another precision")
    between = beside_torch = 0.0
    for pixels in images(2):
        theirs, mine = probabilities_by(apple, pixels), probabilities_by(ours, pixels)
        truth = probabilities(model, pixels, TEMPERATURE)
        between = max(between, np.abs(theirs - mine).max())
        beside_torch = max(beside_torch, np.abs(theirs - truth).max())
    print(f"{name}, {precision}: |Δp| of the kit's package from ours {between:.2g}, from torch {beside_torch:.2g}; p up to {truth.max():.3f}")
    require(max(between, beside_torch) <= TOLERANCE[precision], f"{name}, {precision}: the kit's package is another model")
    other = probabilities(model, pixels, 1.1 * TEMPERATURE)
    require(np.abs(other - truth).max() > max(1e-3, 2 * TOLERANCE[precision]), "these images cannot tell one temperature from another")
    return max(between, beside_torch)


def main(names):
    """The largest |Δp| of each precision."""
    worst = dict.fromkeys(TOLERANCE, 0.0)
    for name in names:
        model = network(name, EPS)
        for precision in worst:
            with tempfile.TemporaryDirectory() as folder:
                worst[precision] = max(worst[precision], judge(name, precision, model, pathlib.Path(folder)))
    return worst


if __name__ == "__main__":
    try:
        worst = main(sys.argv[1:] or ["tiny", "mobilenet_v3_small", "resnet50", "densenet121"])
    except BadPackage as complaint:
        print(f"REFUSED: {complaint}")
        sys.exit(1)
    largest = ", ".join(f"{most:.2g} in {precision}" for precision, most in worst.items())
    print(f"ACCEPTED: the kit makes our package with Apple's converter (|Δp| ≤ {largest})")
