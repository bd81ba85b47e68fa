"""Does the script of a PyTorch export, run as it is, print the probabilities of our Core ML package and of torch?

    python tests/python/judge_pytorch.py

For networks with weights by formula, with a temperature and an epsilon of their own, on photographs that must be cropped or squashed: the
exported load_model.py in a process of its own, beside (1) our exported Core ML package run by mil_interpreter.py on the pixels that our own
code makes of the same file, and (2) torch on these pixels. Wants torch, torchvision, safetensors, coremltools, node.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from exported import LABELS, ROOT, export, network, pixels_of, probabilities, run_package
from mil_interpreter import BadPackage, require

CASES = [
    ("mobilenet_v3_small", 64, "dahlia.png", "center_crop", 1.7, 2e-3),
    ("resnet50", 48, "dahlia.png", "squash", 1.0, 1e-5),
    ("densenet121", 64, "roofs 16 bit grey.png", "center_crop", 0.6, 2e-5),
    ("tiny", 64, "roofs 16 bit grey.png", "squash", 1.7, 3e-3),
]
TOLERANCE = 1e-5


def printed(folder, image):
    """What load_model.py prints, in the order of LABELS."""
    done = subprocess.run([sys.executable, str(folder / "load_model.py"), str(image)], capture_output=True, text=True)
    require(done.returncode == 0, f"load_model.py: {done.stderr.strip()[-2000:]}")
    lines = [line.split("  ", 1) for line in done.stdout.splitlines()]
    require(sorted(lines, key=lambda line: -float(line[0])) == lines, "the likeliest doesn't stand first")
    found = {label: float(value) for value, label in lines}
    require(set(found) == set(LABELS) and len(lines) == len(LABELS), f"it prints the labels {sorted(found)}")
    return np.array([found[label] for label in LABELS])


def main():
    worst = 0.0
    for name, size, photograph, geometry, temperature, eps in CASES:
        with tempfile.TemporaryDirectory() as made:
            folder, image = pathlib.Path(made), ROOT / "tests" / "fixtures" / "photographs" / photograph
            model = network(name, eps)
            options = {
                "architecture": name,
                "imageSize": size,
                "precision": "float32",
                "temperature": temperature,
                "geometry": geometry,
                "batchNormEps": eps,
            }
            folders = export(model, ["pytorch", "mlpackage"], options, folder)
            require(
                sorted(path.name for path in folders["pytorch"].iterdir())
                == ["PacerIDClassifier.safetensors", "README.txt", "load_model.py", "requirements.txt"],
                "the zip's files",
            )
            pixels = pixels_of(image, size, geometry, folder)
            script = printed(folders["pytorch"], image)
            package = run_package(folders["mlpackage"], pixels)
            truth = probabilities(model, pixels, temperature)
            from_package, from_torch = np.abs(script - package).max(), np.abs(script - truth).max()
            print(f"{name}, {size} px, {geometry}: |Δp| from our package {from_package:.2g}, from torch {from_torch:.2g}; p up to {truth.max():.3f}")
            worst = max(worst, from_package, from_torch)
            require(from_package <= TOLERANCE, f"{name}: the script's probabilities are not our package's")
            require(from_torch <= TOLERANCE, f"{name}: the script's probabilities are not torch's")
            # Judges that cannot refuse are none: what the script would print with another temperature or epsilon is told apart.
            require(np.abs(probabilities(model, pixels, temperature * 1.1) - truth).max() > 100 * TOLERANCE, "no temperature shows")
            for module in model.modules():
                module.eps = eps * 1.5
            require(eps < 1e-3 or np.abs(probabilities(model, pixels, temperature) - truth).max() > 10 * TOLERANCE, "no epsilon shows")
    return worst


if __name__ == "__main__":
    try:
        worst = main()
    except BadPackage as complaint:
        print(f"REFUSED: {complaint}")
        sys.exit(1)
    print(f"ACCEPTED: load_model.py prints our package's and torch's probabilities (|Δp| ≤ {worst:.2g} over {len(CASES)} networks)")
