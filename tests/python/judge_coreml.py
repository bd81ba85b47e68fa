"""Does Core ML's own tooling accept the package, and does it give the probabilities that the page showed?

    python tests/python/judge_coreml.py PACKAGE.zip PREDICTIONS.json

PREDICTIONS.json: {"imageSize": n, "labels": [...], "images": [{"rgb": base64 of n*n*3 bytes, "probabilities": {label: p}}]},
`rgb` being the pixels that the network saw, before normalisation.

Exit code 0: everything holds. 1: something does not; the last line says what.
"""

import base64
import json
import logging
import pathlib
import sys
import tempfile
import warnings
import zipfile

import numpy as np

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")

import coremltools as ct  # noqa: E402
from coremltools.converters.mil.frontend.milproto.load import load as load_milproto  # noqa: E402
from coremltools.converters.mil.mil import types  # noqa: E402
from coremltools.proto import FeatureTypes_pb2  # noqa: E402

from mil_interpreter import TYPE_NAME, BadPackage, Package, require, shape_of  # noqa: E402

TOLERANCE = {True: 1e-3, False: 1e-5}


def unpack(archive, folder):
    with zipfile.ZipFile(archive) as zipped:
        require(zipped.testzip() is None, "the zip is damaged")
        names = zipped.namelist()
        tops = {name.split("/")[0] for name in names}
        require(len(tops) == 1, f"the zip's top holds {sorted(tops)}")
        (top,) = tops
        require(top.endswith(".mlpackage"), f"the zip's top folder is {top}")
        require(not any(".." in name.split("/") or name.startswith("/") for name in names), "a path leaves the folder")
        zipped.extractall(folder)
    return pathlib.Path(folder) / top


def check_description(package, labels, image_size):
    """Of iOS 15, or of iOS 16 where weights are packed; a classifier with an image input, and with makers where it has them."""
    spec, description = package.spec, package.spec.description
    wanted = (7, "CoreML6") if package.is_packed else (6, "CoreML5")
    found = (spec.specificationVersion, package.function.opset)
    require(found == wanted, f"specificationVersion and opset are {found}, not {wanted}")
    require([feature.name for feature in description.input] == ["image"], "the only input is image")
    image = description.input[0].type.imageType
    require((image.width, image.height) == (image_size, image_size), f"the input is {image.width} × {image.height}")
    require(image.colorSpace == FeatureTypes_pb2.ImageFeatureType.RGB, "the input is not RGB")
    names = [feature.name for feature in description.output]
    require(names[:2] == ["classLabel", "classLabel_probs"] and names[2:] in ([], ["maker_probs"]), f"outputs {names}")
    require(list(package.block.outputs) == names, "the program's outputs are not the description's")
    if names[2:]:
        array = description.output[2].type.multiArrayType
        makers = json.loads(description.metadata.userDefined["pacerid.makers"])
        require(list(array.shape) == [1, len(makers)], f"maker_probs is {list(array.shape)} for {len(makers)} makers")
        require(array.dataType == FeatureTypes_pb2.ArrayFeatureType.FLOAT32, "maker_probs is not float32")
        require(makers == list(dict.fromkeys(label.split(" - ")[0] for label in labels)), f"makers {makers}")
        require(json.dumps(makers, ensure_ascii=False, separators=(",", ":")) in description.output[2].shortDescription, "their order")
    require(description.output[0].type.WhichOneof("Type") == "stringType", "classLabel is not a string")
    require(
        description.output[1].type.dictionaryType.WhichOneof("KeyType") == "stringKeyType",
        "classLabel_probs is not keyed by strings",
    )
    require(description.predictedFeatureName == "classLabel", "predictedFeatureName")
    require(description.predictedProbabilitiesName == "classLabel_probs", "predictedProbabilitiesName")
    words = description.metadata.shortDescription + str(dict(description.metadata.userDefined))
    require("medical device" in words, "nothing says that it is not a medical device")
    require(len(set(labels)) == len(labels), "a label occurs twice")


def check_makers(found, probabilities):
    sums = {}
    for label, probability in probabilities.items():
        maker = label.split(" - ")[0]
        sums[maker] = sums.get(maker, 0) + probability
    require(np.abs(found[0] - list(sums.values())).max() < 1e-6, "maker_probs are not the sums of their classes'")


def check_types(package, spec):
    """Back to PyMIL, where every operation infers its type anew; compared with what the package declares."""
    program = load_milproto(
        spec,
        specification_version=spec.specificationVersion,
        file_weights_dir=str(package.folder / "Data" / "com.apple.CoreML" / "weights"),
    )
    inferred = {}
    for operation in program.functions["main"].operations:
        for output in operation.outputs:
            inferred[output.name] = output
    numpy_name = {"FLOAT16": "fp16", "FLOAT32": "fp32", "INT32": "int32", "BOOL": "bool", "STRING": "string"}
    checked = 0
    for operation in package.block.operations:
        for output in operation.outputs:
            if output.type.WhichOneof("type") != "tensorType" or operation.type == "classify":
                continue
            variable = inferred.get(output.name)
            require(variable is not None, f"{output.name} is lost on the way to PyMIL")
            declared = output.type.tensorType
            require(tuple(variable.shape) == shape_of(declared), f"{output.name}: inferred {variable.shape}")
            kind = types.builtin_to_string(variable.dtype)
            require(kind == numpy_name[TYPE_NAME[declared.dataType]], f"{output.name}: inferred {kind}")
            checked += 1
    return checked


def largest_change_without_a_layer(package, images, size):
    """A judge that cannot refuse is none: the same comparison against a package that is wrong on purpose."""
    convolutions = [operation for operation in package.block.operations if operation.type == "conv"]
    name = convolutions[len(convolutions) // 2].inputs["weight"].arguments[0].name
    weight = package.constants[name]
    package.constants[name] = np.zeros_like(weight)
    worst = 0.0
    for image in images:
        found = package.run(np.frombuffer(base64.b64decode(image["rgb"]), np.uint8).reshape(size, size, 3))
        worst = max(worst, max(abs(found[label] - p) for label, p in image["probabilities"].items()))
    package.constants[name] = weight
    return worst


def judge(archive, predictions_path, tolerances=TOLERANCE, can_tell=True):
    """`tolerances`: of a probability, by whether it is float16; `can_tell`: the images must tell a broken package from a good one."""
    predictions = json.loads(pathlib.Path(predictions_path).read_text())
    size, labels, images = predictions["imageSize"], predictions["labels"], predictions["images"]
    require(len(images) > 0, "there are no images to judge by")
    with tempfile.TemporaryDirectory() as folder:
        path = unpack(archive, folder)
        spec = ct.utils.load_spec(str(path))
        ct.models.MLModel(str(path), skip_model_load=True)
        package = Package(path)
        check_description(package, labels, size)
        require(package.labels == labels, "the labels, or their order, differ from the page's")
        checked = check_types(package, spec)
        counts = ", ".join(f"{name} {count}" for name, count in sorted(package.op_counts.items()))
        print(f"coremltools {ct.__version__} reads it back: {checked} values with the types declared ({counts})")

        worst, flips = 0.0, 0
        for index, image in enumerate(images):
            rgb = np.frombuffer(base64.b64decode(image["rgb"]), np.uint8).reshape(size, size, 3)
            found = package.run(rgb)
            require(abs(sum(found.values()) - 1) < 1e-5, f"image {index}: probabilities sum to {sum(found.values())}")
            if "maker_probs" in package.extra_outputs:
                check_makers(package.extra_outputs["maker_probs"], found)
            wanted = image["probabilities"]
            require(set(wanted) == set(found), f"image {index}: other labels")
            difference = max(abs(found[label] - wanted[label]) for label in labels)
            worst = max(worst, difference if np.isfinite(difference) else np.inf)
            flips += max(found, key=found.get) != max(wanted, key=wanted.get)
        tolerance = tolerances[package.is_float16]
        kind = "float16" if package.is_float16 else "float32"
        print(f"max |Δp| = {worst:.3g} over {len(images)} images and {len(labels)} classes ({kind}, {tolerance:g} allowed), {flips} flips")
        require(flips == 0 or not predictions.get("noFlips"), f"{flips} images have another most probable class")
        require(worst <= tolerance, "the package's probabilities are not the page's")
        if not can_tell:
            return
        control = largest_change_without_a_layer(package, images[:8], size)
        print(f"control: with one convolution silenced the probabilities move by {control:.3g}")
        require(control > 10 * tolerance, "these images cannot tell a broken package from a good one")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        judge(sys.argv[1], sys.argv[2])
    except BadPackage as complaint:
        print(f"REFUSED: {complaint}")
        sys.exit(1)
    print("ACCEPTED: the package is well-formed and gives the page's probabilities")
