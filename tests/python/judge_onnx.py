"""onnx and onnxruntime on what src/export/onnx writes, and our reader (src/parity/onnx) on the same bytes and on torch's.

    python tests/python/judge_onnx.py [ARCHITECTURE…]        default: tiny and the three backbones, at 64 px

Each network is one of spread_nets.py; torch's own probabilities of the same weights, in float64, are the truth. For each precision:
onnx checks the file (full_check), infers its shapes; onnxruntime runs it on a batch and image by image; our reader and interpreter run it.
Then our reader and interpreter run what torch.onnx exports of that network. Wants torch, torchvision, onnx, onnxruntime, safetensors, node.
Exit code 1 where anything differs by more than it may, or where a weight of 0 in place of one that matters is not noticed.
"""

import base64
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.torch import save_file

from spread_nets import as_batch, smooth_images, spread_net

warnings.filterwarnings("ignore")
ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE, BATCH = 64, 3
# Names that a careless writer breaks; three makers.
LABELS = ['MDT - "Azure", XT', "MDT - Évia", "心臓 - 2'1", "BOS - 100 % \\ 2", "心臓 - \n ✓"]
MAKERS = ["MDT", "心臓", "BOS"]
TEMPERATURE = 1.3
# Of a probability. `rows`: the same image in a batch and alone.
TOLERANCE = {"float32": 1e-5, "float16": 5e-3}
ROWS = {"float32": 1e-6, "float16": 1e-3}
# What 8 bits may cost networks that were never trained: a bound against mistakes, no measure of quality.
EIGHT_BIT = 0.1
FULL = [("float32", "full"), ("float16", "full")]
# Where there is every kind of layer; each way of 8 bits in each precision once.
VARIANTS = {
    "tiny": [*FULL, ("float16", "linear"), ("float32", "palettized")],
    "mobilenet_v3_small": [*FULL, ("float32", "linear"), ("float16", "palettized")],
}


class Refused(Exception):
    pass


def require(condition, complaint):
    if not condition:
        raise Refused(complaint)


def node(tool, *arguments):
    done = subprocess.run(
        ["node", "scripts/run.mjs", f"tests/tools/{tool}.ts", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    require(done.returncode == 0, f"{tool}: {done.stdout}{done.stderr}")
    return done.stdout


def export(folder, architecture, variants):
    """The bytes of each variant, (precision, weight storage)."""
    arguments = []
    for precision, storage in variants:
        options = folder / f"{precision}-{storage}.json"
        form = {"precision": precision, "weightStorage": storage, "temperature": TEMPERATURE, "makerOutput": True}
        options.write_text(
            json.dumps({"architecture": architecture, "labels": LABELS, "imageSize": SIZE, "format": "onnx", **form})
        )
        arguments += [options, options.with_suffix(".onnx")]
    node("exportFixture", folder / "weights.safetensors", *arguments)
    return [path.read_bytes() for path in arguments[1::2]]


def read_ours(folder, data):
    """What our reader and interpreter make of a file: the JSON of tests/tools/runParity.ts."""
    (folder / "read.onnx").write_bytes(data)
    node("runParity", "onnx", folder / "read.onnx", folder / "images.json", folder / "out.json")
    return json.loads((folder / "out.json").read_text())


def difference(a, b):
    found = float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max())
    return found if np.isfinite(found) else float("inf")


def session(data):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def check_form(data, precision, storage):
    """The file alone, by onnx: valid, shapes as promised, names whole."""
    onnx.checker.check_model(data, full_check=True)
    model = onnx.load_from_string(data)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    known = {value.name for value in [*inferred.graph.value_info, *inferred.graph.output]}
    for entry in model.graph.node:
        require(set(entry.output) <= known, f"{entry.op_type} {entry.name}: no shape can be inferred")
    shape = lambda value: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
    ends = {v.name: (shape(v), v.type.tensor_type.elem_type) for v in [*model.graph.input, *model.graph.output]}
    require(
        ends
        == {
            "image": (["N", 3, SIZE, SIZE], onnx.TensorProto.FLOAT),
            "probabilities": (["N", len(LABELS)], onnx.TensorProto.FLOAT),
            "maker_probabilities": (["N", len(MAKERS)], onnx.TensorProto.FLOAT),
        },
        f"input and outputs are {ends}",
    )
    said = {entry.key: entry.value for entry in model.metadata_props}
    require(json.loads(said["pacerid.classes"]) == LABELS, f"pacerid.classes is {said['pacerid.classes']}")
    require(json.loads(said["pacerid.makers"]) == MAKERS, f"pacerid.makers is {said['pacerid.makers']}")
    require(model.model_version == 0x0001000000000000, f"model_version is {model.model_version:#x}")
    require(model.opset_import[0].version >= 17, "opset below 17")
    types = {t.data_type for t in model.graph.initializer if len(t.dims) == 4 and t.name.endswith(".weight")}
    element = {"float32": onnx.TensorProto.FLOAT, "float16": onnx.TensorProto.FLOAT16}[precision]
    require(types <= {element}, f"filters are of types {types}")
    unpacked = {"full": None, "linear": "DequantizeLinear", "palettized": "Gather"}[storage]
    kinds = {entry.op_type for entry in model.graph.node}
    require(kinds & {"DequantizeLinear", "Gather"} == {unpacked} - {None}, f"weights are unpacked by {kinds}")


def run(data, batch):
    """Probabilities and makers' of a batch, and how far from them those of its images one by one are."""
    ready = session(data)
    whole = ready.run(["probabilities", "maker_probabilities"], {"image": batch})
    alone = [np.concatenate(rows) for rows in zip(*(ready.run(None, {"image": batch[n : n + 1]}) for n in range(len(batch))))]
    return *whole, max(difference(a, b) for a, b in zip(whole, alone))


def check_makers(probabilities, makers):
    sums = [[row[[i for i, label in enumerate(LABELS) if label.startswith(f"{m} - ")]].sum() for m in MAKERS] for row in probabilities]
    require(difference(makers, sums) < 1e-6, "a maker's probability is not the sum of its classes'")


def judge_net(architecture, folder):
    model = spread_net(architecture, len(LABELS), SIZE, TEMPERATURE)
    images = smooth_images(BATCH, SIZE)
    batch = as_batch(images)
    save_file({name: t.contiguous() for name, t in model.network.state_dict().items()}, folder / "weights.safetensors")
    rgb = [{"rgb": base64.b64encode(image.tobytes()).decode()} for image in images]
    (folder / "images.json").write_text(json.dumps({"imageSize": SIZE, "images": rgb}))
    foreign = io.BytesIO()
    torch.onnx.export(model, batch[:1], foreign, opset_version=17, input_names=["pixels"], dynamic_axes={"pixels": [0]})
    with torch.no_grad():
        truth = model.double()(batch.double()).numpy()
    require(np.std(truth, axis=1).max() > 0.05, "the network is indifferent: the comparison says nothing")

    variants = VARIANTS.get(architecture, FULL)
    sizes = {}
    for (precision, storage), data in zip(variants, export(folder, architecture, variants)):
        sizes[precision, storage] = len(data)
        check_form(data, precision, storage)
        probabilities, makers, rows = run(data, batch.numpy())
        check_makers(probabilities, makers)
        ours = read_ours(folder, data)
        require(ours["labels"] == LABELS and ours["makers"]["names"] == MAKERS, "our reader has other names")
        require(ours["precision"] == precision, f"our reader takes it for {ours['precision']}")
        require(ours["eightBit"] == (storage != "full"), f"our reader: eightBit is {ours['eightBit']}")
        runtime, reader = difference(probabilities, truth), difference(ours["probabilities"], probabilities)
        print(
            f"{architecture} {precision} {storage}: {len(data):,} bytes; max |Δp| onnxruntime from torch {runtime:.2g}, batch of {BATCH} "
            f"from one by one {rows:.2g}, our reader from onnxruntime {reader:.2g}"
        )
        allowed = TOLERANCE[precision] if storage == "full" else EIGHT_BIT
        require(runtime <= allowed, f"onnxruntime is {runtime:.2g} from torch")
        require(reader <= TOLERANCE[precision], f"our reader is {reader:.2g} from onnxruntime")
        require(difference(ours["makers"]["probabilities"], makers) <= TOLERANCE[precision], "our reader has other makers")
        require(rows <= ROWS[precision], f"a batch gives other probabilities than its images: {rows:.2g}")
        if (architecture, precision, storage) == ("tiny", "float32", "full"):
            control(folder, data, batch.numpy(), truth)
    for (precision, storage), size in sizes.items():
        most = {"full": 1.01, "linear": 0.6, "palettized": 0.6}[storage] * sizes[precision, "full"]
        require(size <= most, f"{precision} {storage} has {size:,} bytes")

    theirs = onnx.load_from_string(foreign.getvalue())
    onnx.helper.set_model_props(theirs, {"pacerid.classes": json.dumps(LABELS)})
    found = difference(read_ours(folder, theirs.SerializeToString())["probabilities"], truth)
    kinds = sorted({entry.op_type for entry in theirs.graph.node})
    print(f"{architecture}, torch.onnx's file: our reader from torch {found:.2g} ({', '.join(kinds)})")
    require(found <= TOLERANCE["float32"], f"our reader makes {found:.2g} of torch's file")


def control(folder, data, batch, truth):
    """One weight of the head, the largest, is made 0: the comparisons above must not let it pass."""
    model = onnx.load_from_string(data)
    tensor = next(t for t in model.graph.initializer if t.name == "classifier.weight")
    weights = numpy_helper.to_array(tensor).copy()
    weights.flat[np.abs(weights).argmax()] = 0
    tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    silenced = model.SerializeToString()
    found = [difference(run(silenced, batch)[0], truth), difference(read_ours(folder, silenced)["probabilities"], truth)]
    print(f"one weight silenced: onnxruntime {found[0]:.2g}, our reader {found[1]:.2g} from torch")
    require(min(found) > TOLERANCE["float32"], "a silenced weight is not noticed")


def main():
    with tempfile.TemporaryDirectory() as name:
        for architecture in sys.argv[1:] or ["tiny", "mobilenet_v3_small", "resnet50", "densenet121"]:
            judge_net(architecture, pathlib.Path(name))


if __name__ == "__main__":
    try:
        main()
    except Refused as complaint:
        print(f"REFUSED: {complaint}")
        sys.exit(1)
    print(f"ACCEPTED by onnx {onnx.__version__} and onnxruntime {onnxruntime.__version__}")
