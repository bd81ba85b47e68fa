"""tests/fixtures/reference.json: what the specification says that the pipeline before this one shipped (DenseNet121, Core ML), without weights.

    python tests/python/make_reference_extract.py ORIGINAL.mlmodel [--check]

ORIGINAL is the `model.mlmodel` of its package, which is not part of this repository; its SHA-256 is in the fixture. --check compares with the
committed file (`npm run judge -- --original ORIGINAL`). `extract` works on any ML Program classifier: judge_table.py puts ours beside it.
Wants coremltools (for its protobuf messages) and numpy.
"""

import hashlib
import logging
import pathlib
import sys
import warnings

import numpy as np

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")

from coremltools.proto import FeatureTypes_pb2, MIL_pb2, Model_pb2  # noqa: E402

import fixture  # noqa: E402

# ImageNet's, by channel: what normalisation divides by, after the division by 255 or, wrongly, without it.
STD = np.array([0.229, 0.224, 0.225])


def small_constants(block):
    """{name: value} of what lies in the program itself; tensors of the weights file have their shapes in place of their numbers."""
    found = {}
    for operation in block.operations:
        if operation.type != "const":
            continue
        value = operation.attributes["val"]
        shape = tuple(dimension.constant.size for dimension in value.type.tensorType.dimensions)
        if value.WhichOneof("value") == "blobFileValue":
            found[operation.outputs[0].name] = shape
            continue
        tensor = value.immediateValue.tensor
        values = getattr(tensor, tensor.WhichOneof("value")).values
        kind = MIL_pb2.DataType.Name(value.type.tensorType.dataType)
        if kind == "STRING":
            found[operation.outputs[0].name] = values[0]
        elif kind == "FLOAT16":
            found[operation.outputs[0].name] = np.frombuffer(values, np.float16).astype(np.float64).reshape(shape)
        else:
            found[operation.outputs[0].name] = np.array(values, np.float64 if kind == "FLOAT32" else np.int64).reshape(shape)
    return found


def read_by(operation, key):
    """The name that an argument has; None where it is written into the operation."""
    return operation.inputs[key].arguments[0].name or None


def in_words(operation, constants):
    """Its kind and what it is told: numbers and words as they are, of weights the shape, of padding its four sides however they were said, of a
    concat how many channels come out, and whether it joins nothing."""
    told = {key: constants.get(read_by(operation, key)) for key in operation.inputs}
    if told.pop("pad_type", None) == "valid":
        told["pad"] = np.zeros(4, np.int64)
    said = []
    for key, value in sorted(told.items()):
        if isinstance(value, np.ndarray) and value.dtype == np.float64 and value.size > 1:
            value = value.shape
        if isinstance(value, tuple):
            said.append(f"{key} [{'x'.join(map(str, value))}]")
        elif isinstance(value, str):
            said.append(f"{key} {value}")
        elif value is not None:
            said.append(f"{key} {' '.join(f'{number:.6g}' for number in value.reshape(-1).tolist())}")
    if operation.type == "concat":
        said.append(f"{operation.outputs[0].type.tensorType.dimensions[1].constant.size} channels")
        said += ["of one"] if len(operation.inputs["values"].arguments) == 1 else []
    return f"{operation.type}: {', '.join(said)}" if said else operation.type


def normalisation(block, constants, source):
    """(scale, bias) by channel: what the first operations make of a pixel of 0 to 255, p · scale + bias."""
    scale, bias = np.ones(3), np.zeros(3)
    for operation in block.operations:
        if operation.type == "const" or "x" not in operation.inputs or read_by(operation, "x") != source:
            continue
        if operation.type in ("add", "sub", "mul", "real_div"):
            by = np.broadcast_to(constants[read_by(operation, "y")].reshape(-1), 3)
            if operation.type in ("add", "sub"):
                bias = bias + (by if operation.type == "add" else -by)
            else:
                factor = by if operation.type == "mul" else 1 / by
                scale, bias = scale * factor, bias * factor
        elif operation.type != "cast":
            break
        source = operation.outputs[0].name
    return scale, bias


def before_classify(block):
    """Kinds of the operations from the last one that has weights to `classify`, in order."""
    made_by = {output.name: operation for operation in block.operations for output in operation.outputs}
    (classify,) = [operation for operation in block.operations if operation.type == "classify"]
    kinds, operation = [], made_by[read_by(classify, "probabilities")]
    while "weight" not in operation.inputs:
        kinds.insert(0, operation.type)
        operation = made_by[read_by(operation, "x")]
    return [operation.type, *kinds]


def extract(spec):
    """What a specification says: of its input, of its outputs, its operations in order."""
    function = spec.mlProgram.functions["main"]
    block = function.block_specializations[function.opset]
    constants = small_constants(block)
    operations = [operation for operation in block.operations if operation.type != "const"]
    (image,) = spec.description.input
    size = image.type.imageType
    scale, bias = normalisation(block, constants, function.inputs[0].name)
    (classify,) = [operation for operation in operations if operation.type == "classify"]
    kinds = [operation.type for operation in operations]
    return {
        "program": {
            "type": spec.WhichOneof("Type"),
            "specificationVersion": spec.specificationVersion,
            "opset": function.opset,
            "constants": len(constants),
            "inTheWeightsFile": sum(isinstance(value, tuple) for value in constants.values()),
        },
        "input": {
            "name": image.name,
            "width": size.width,
            "height": size.height,
            "colours": FeatureTypes_pb2.ImageFeatureType.ColorSpace.Name(size.colorSpace),
            "scale": scale.tolist(),
            "bias": bias.tolist(),
            "dividedBy255": bool(np.allclose(255 * scale * STD, 1, rtol=1e-2)),
        },
        "output": {
            "names": [feature.name for feature in spec.description.output],
            "predictedFeatureName": spec.description.predictedFeatureName,
            "predictedProbabilitiesName": spec.description.predictedProbabilitiesName,
            "classes": len(classify.inputs["classes"].arguments[0].value.immediateValue.list.values),
            "beforeClassify": before_classify(block),
            "softmax": "softmax" in kinds,
        },
        "counts": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        "operations": {str(index): in_words(operation, constants) for index, operation in enumerate(operations)},
    }


def main():
    paths = [argument for argument in sys.argv[1:] if argument != "--check"]
    if len(paths) != 1:
        sys.exit(__doc__)
    data = pathlib.Path(paths[0]).read_bytes()
    spec = Model_pb2.Model()
    spec.ParseFromString(data)
    said = dict(spec.description.metadata.userDefined)
    file = {
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "description": spec.description.metadata.shortDescription,
        "coremltools": said["com.github.apple.coremltools.version"],
        "source": said["com.github.apple.coremltools.source"],
    }
    fixture.finish("reference.json", {"file": file, **extract(spec)})


if __name__ == "__main__":
    main()
