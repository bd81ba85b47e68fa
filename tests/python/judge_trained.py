"""Do exports of trained networks say on every image what the networks said?

    python tests/python/judge_trained.py FOLDER

FOLDER: what tests/tools/trainedExports.ts has left there. Core ML packages are read back by coremltools and run by numpy
(judge_coreml.py), ONNX files are run by onnxruntime. Where a file's predictions say `noFlips`, no image may have another most
probable class, and the network must be one whose answers differ: else nothing could flip. Where they say `canTell`, a package with a
layer silenced must be told from a good one.
"""

import base64
import json
import pathlib
import sys

import numpy as np
import onnxruntime

from judge_coreml import judge
from mil_interpreter import BadPackage, require

# As judge_coreml.py; float16 lies in an ONNX file as in a package.
TOLERANCE = {"float16": 5e-3, "float32": 1e-5}


def check_onnx(path, predictions):
    size, labels, images = predictions["imageSize"], predictions["labels"], predictions["images"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    require(json.loads(metadata["pacerid.classes"]) == labels, "the labels, or their order, differ")
    pixels = np.stack([np.frombuffer(base64.b64decode(image["rgb"]), np.uint8).reshape(size, size, 3) for image in images])
    batch = pixels.transpose(0, 3, 1, 2).astype(np.float32)
    rows = [session.run(["probabilities"], {"image": batch[at : at + 16]})[0] for at in range(0, len(batch), 16)]
    found = np.concatenate(rows)
    wanted = np.array([[image["probabilities"][label] for label in labels] for image in images])
    worst = float(np.abs(found - wanted).max())
    flips = int((found.argmax(1) != wanted.argmax(1)).sum())
    allowed = TOLERANCE[metadata["pacerid.precision"]]
    print(f"{path.name}: max |Δp| = {worst:.3g}, {flips} flips over {len(images)} images by onnxruntime ({allowed:g} allowed)")
    require(worst <= allowed, f"{path.name}: the probabilities are not the network's")
    if predictions["noFlips"]:
        require(flips == 0, f"{path.name}: {flips} images have another most probable class")


def main(folder):
    checked = 0
    for described in sorted(folder.glob("*.predictions.json")):
        predictions = json.loads(described.read_text())
        top = [max(image["probabilities"], key=image["probabilities"].get) for image in predictions["images"]]
        if predictions["noFlips"]:
            require(len(set(top)) > 1, f"{described.name}: the network says the same of every image")
        stem = described.name.removesuffix(".predictions.json")
        if stem.endswith(".mlpackage"):
            print(f"{stem}: {len(top)} images")
            tolerances = {True: TOLERANCE["float16"], False: TOLERANCE["float32"]}
            judge(folder / f"{stem}.zip", described, tolerances, can_tell=predictions["canTell"])
        elif stem.endswith(".onnx"):
            check_onnx(folder / stem, predictions)
        else:
            # Their own judges read these formats; trainedExports.ts has certified them.
            continue
        checked += 1
    require(checked > 0, f"{folder} holds nothing to judge")
    return checked


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        count = main(pathlib.Path(sys.argv[1]))
    except BadPackage as complaint:
        print(f"REFUSED: {complaint}")
        sys.exit(1)
    print(f"ACCEPTED: {count} files of trained networks say what the networks say")
