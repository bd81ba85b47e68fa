"""Core ML's older form (src/export/mlmodel): does Core ML's own tooling accept the file, and does it say what torch says?

    python tests/python/judge_mlmodel.py [ARCHITECTURE…]        default: tiny and the three backbones, at 64 px

Each network is one of spread_nets.py; torch's own probabilities of the same weights, in float64, are the truth. coremltools opens each
file; nn_interpreter.py holds it against the rules of Apple's validator and runs it; our reader and interpreter (src/parity/mlmodel) run
it, too. 8-bit weights are also unpacked by coremltools and run again. Then coremltools converts the same network to a neural network: our
file is no larger, and our reader runs that one.
Wants torch, torchvision, coremltools, safetensors, node. Exit code 1 where anything differs by more than it may, or where a layer of
zeros in place of one that matters is not noticed.
"""

import base64
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")
os.environ["TQDM_DISABLE"] = "1"

import coremltools as ct  # noqa: E402
import torch  # noqa: E402
from coremltools.models.neural_network import quantization_utils  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from nn_interpreter import BadModel, NeuralNetwork, demand  # noqa: E402
from spread_nets import as_batch, smooth_images, spread_net  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE, IMAGES = 64, 2
# Names that a careless writer breaks; three makers.
LABELS = ['MDT - "Azure", XT', "MDT - Évia", "心臓 - 2'1", "BOS - 100 % \\ 2", "心臓 - \n ✓"]
MAKERS = ["MDT", "心臓", "BOS"]
TEMPERATURE = 1.3
FULL = [("float32", "full"), ("float16", "full")]
VARIANTS = {
    "tiny": [*FULL, ("float16", "palettized"), ("float32", "linear")],
    "mobilenet_v3_small": [*FULL, ("float16", "linear"), ("float32", "palettized")],
}
# iOS 11, 11.2, 12.
VERSION = {("float32", "full"): 1, ("float16", "full"): 2}
TOLERANCE = {"float32": 1e-5, "float16": 5e-3}
# What 8 bits may cost networks that were never trained: a bound against mistakes, not a quality.
EIGHT_BIT = 0.1
# Layers that coremltools writes in place of ours: its preprocessing is layers, each hard swish has a thresholded ReLU before it, dense
# blocks begin with a copy; a mean that was written as one (tiny's) is a reduceMean.
SAME = ["convolution", "batchnorm", "pooling", "innerProduct"]


def node(tool, *arguments):
    done = subprocess.run(
        ["node", "scripts/run.mjs", f"tests/tools/{tool}.ts", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    demand(done.returncode == 0, f"{tool}: {done.stdout}{done.stderr}")
    return done.stdout


def export(folder, architecture, variants):
    """A file for each of (precision, weight storage), and the seconds that writing each took."""
    pairs = []
    for precision, storage in variants:
        options = {"architecture": architecture, "labels": LABELS, "imageSize": SIZE, "format": "mlmodel", "temperature": TEMPERATURE}
        options |= {"precision": precision, "weightStorage": storage, "makerOutput": True}
        path = folder / f"{precision}-{storage}"
        path.with_suffix(".json").write_text(json.dumps(options))
        pairs += [path.with_suffix(".json"), path.with_suffix(".mlmodel")]
    said = node("exportFixture", folder / "weights.safetensors", *pairs).strip().split("\n")
    return pairs[1::2], [json.loads(line)["seconds"] for line in said]


def read_ours(folder, path):
    """What our reader and interpreter make of a file: the JSON of tests/tools/runParity.ts."""
    node("runParity", "mlmodel", path, folder / "images.json", folder / "out.json")
    return json.loads((folder / "out.json").read_text())


def difference(a, b):
    found = float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max())
    return found if np.isfinite(found) else float("inf")


def check_description(network):
    description, classifier = network.spec.description, network.network
    demand(network.labels == LABELS, f"the labels are {network.labels}")
    demand(network.input == "image" and network.size == (SIZE, SIZE), f"the input is {network.input}, {network.size}")
    demand(network.outputs == ["classLabel", "classLabel_probs", "maker_probs"], f"the outputs are {network.outputs}")
    kinds = [feature.type.WhichOneof("Type") for feature in description.output]
    demand(kinds == ["stringType", "dictionaryType", "multiArrayType"], f"the outputs are {kinds}")
    demand(description.predictedFeatureName == "classLabel", "predictedFeatureName")
    demand(description.predictedProbabilitiesName == "classLabel_probs", "predictedProbabilitiesName")
    demand(classifier.labelProbabilityLayerName == "classLabel_probs", "labelProbabilityLayerName")
    demand(list(description.output[2].type.multiArrayType.shape) == [len(MAKERS)], "the shape of the makers")
    said = dict(description.metadata.userDefined)
    demand(json.loads(said["pacerid.makers"]) == MAKERS, f"pacerid.makers is {said['pacerid.makers']}")
    demand("medical device" in description.metadata.shortDescription + str(said), "nothing says that it is no medical device")


def unpacked(network, path):
    """The same model, its weights unpacked from 8 bits by coremltools (whose own loop over a model expects no float16 beside them)."""
    spec = ct.models.MLModel(network.spec, skip_model_load=True).get_spec()
    for layer in spec.neuralNetworkClassifier.layers:
        kind = layer.WhichOneof("layer")
        weights = getattr(layer, kind).weights if kind in ("convolution", "innerProduct") else None
        if weights is None or len(weights.rawValue) == 0:
            continue
        p = getattr(layer, kind)
        shape = (p.outputChannels, p.kernelChannels, *p.kernelSize) if kind == "convolution" else (p.outputChannels, p.inputChannels)
        quantization_utils._dequantize_wp(weights, shape)
        if len(p.bias.float16Value) > 0:
            # Of one type with the weights, which are float32 now.
            p.bias.floatValue.extend(np.frombuffer(p.bias.float16Value, np.float16).astype(np.float32))
            p.bias.float16Value = b""
    path.write_bytes(spec.SerializeToString())
    return NeuralNetwork(path)


def judge_file(path, precision, storage, seconds, images, truth, folder, architecture):
    ct.models.MLModel(str(path), skip_model_load=True)
    network = NeuralNetwork(path)
    check_description(network)
    version = VERSION.get((precision, storage), 3)
    demand(network.spec.specificationVersion == network.needed_version == version, f"version {network.spec.specificationVersion}")
    blobs = [network.run(image) for image in images]
    found = np.array([blob["classLabel_probs"].reshape(-1) for blob in blobs], np.float64)
    makers = np.array([blob["maker_probs"].reshape(-1) for blob in blobs])
    sums = [[row[[i for i, label in enumerate(LABELS) if label.startswith(f"{m} - ")]].sum() for m in MAKERS] for row in found]
    demand(difference(makers, sums) <= (1e-6 if precision == "float32" else 1e-3), "a maker's probability is not its classes'")
    demand(difference(found.sum(1), 1) <= (1e-5 if precision == "float32" else 5e-3), "probabilities don't sum to 1")

    ours = read_ours(folder, path)
    demand(ours["labels"] == LABELS and ours["makers"]["names"] == MAKERS, "our reader has other names")
    demand(ours["precision"] == precision, f"our reader takes it for {ours['precision']}")
    demand(ours["eightBit"] == (storage != "full"), f"our reader: eightBit is {ours['eightBit']}")
    worst, reader = difference(found, truth), difference(ours["probabilities"], found)
    from_torch = difference(ours["probabilities"], truth)
    print(
        f"{architecture} {precision} {storage}: {len(network.data):,} bytes in {seconds:.2f} s, version {version}; "
        f"max |Δp| numpy from torch {worst:.2g}, our reader from torch {from_torch:.2g}, from numpy {reader:.2g}"
    )
    allowed = TOLERANCE[precision] if storage == "full" else EIGHT_BIT
    demand(max(worst, from_torch) <= allowed, f"the file is {worst:.2g} from torch, {from_torch:.2g} by our reader")
    demand(reader <= TOLERANCE[precision], f"our reader is {reader:.2g} from numpy")
    demand(difference(ours["makers"]["probabilities"], makers) <= TOLERANCE[precision], "our reader has other makers")
    if storage != "full":
        other = unpacked(network, folder / "unpacked.mlmodel")
        demand("8 bits" in network.kinds and "8 bits" not in other.kinds, f"weights lie there as {network.kinds}, then {other.kinds}")
        again = np.array([other.probabilities(image) for image in images])
        demand(difference(again, found) <= TOLERANCE[precision], "coremltools unpacks other weights")
    if precision == "float32" and storage == "full":
        # A judge that cannot refuse is none.
        convolutions = [layer.name for layer in network.layers if layer.WhichOneof("layer") == "convolution"]
        network.silenced = convolutions[len(convolutions) // 2]
        control = difference([network.probabilities(image) for image in images], truth)
        network.silenced = None
        print(f"{architecture}, control: with {convolutions[len(convolutions) // 2]} silenced the probabilities move by {control:.2g}")
        demand(control > 10 * TOLERANCE["float16"], "these images cannot tell a broken file from a good one")
    return network


def convert_with_apple(model, path):
    traced = torch.jit.trace(model, torch.rand(1, 3, SIZE, SIZE) * 255)
    ct.convert(
        traced,
        inputs=[ct.ImageType(name="image", shape=(1, 3, SIZE, SIZE))],
        classifier_config=ct.ClassifierConfig(LABELS),
        convert_to="neuralnetwork",
        minimum_deployment_target=ct.target.iOS13,
        skip_model_load=True,
    ).save(str(path))
    return NeuralNetwork(path)


def judge_net(architecture, folder):
    model = spread_net(architecture, len(LABELS), SIZE, TEMPERATURE)
    images = smooth_images(IMAGES, SIZE)
    save_file({name: t.contiguous() for name, t in model.network.state_dict().items()}, folder / "weights.safetensors")
    rgb = [{"rgb": base64.b64encode(image.tobytes()).decode()} for image in images]
    (folder / "images.json").write_text(json.dumps({"imageSize": SIZE, "images": rgb}))
    apple = convert_with_apple(model, folder / "apple.mlmodel")
    with torch.no_grad():
        truth = model.double()(as_batch(images).double()).numpy()
    demand(np.std(truth, axis=1).max() > 0.05, "the network is indifferent: the comparison says nothing")

    variants = VARIANTS.get(architecture, FULL)
    networks = {}
    for (precision, storage), path, seconds in zip(variants, *export(folder, architecture, variants)):
        networks[precision, storage] = judge_file(path, precision, storage, seconds, images, truth, folder, architecture)
    whole = networks["float32", "full"]
    for (precision, storage), network in networks.items():
        # tiny's metadata weigh something; convolutions of few weights stay as they are.
        most = {"full": 1 if precision == "float32" else 0.52, "palettized": 0.35, "linear": 0.35}[storage]
        demand(len(network.data) <= most * len(whole.data) + 4096, f"{precision} {storage} has {len(network.data):,} bytes")

    theirs = difference([apple.probabilities(image) for image in images], truth)
    foreign = difference(read_ours(folder, folder / "apple.mlmodel")["probabilities"], truth)
    print(
        f"{architecture}, coremltools' file: {len(apple.data):,} bytes, version {apple.spec.specificationVersion}; max |Δp| numpy from torch "
        f"{theirs:.2g}, our reader from torch {foreign:.2g}; layers ours {whole.counts}, theirs {apple.counts}"
    )
    demand(max(theirs, foreign) <= TOLERANCE["float32"], f"coremltools' file: {theirs:.2g}, our reader {foreign:.2g}")
    # Ours has the makers' layer beside.
    ours = {kind: whole.counts.get(kind, 0) - (kind == "innerProduct") for kind in SAME}
    theirs = {kind: apple.counts.get(kind, 0) + (kind == "pooling") * apple.counts.get("reduceMean", 0) for kind in SAME}
    demand(ours == theirs, "other layers than coremltools' conversion has")
    demand(len(whole.data) <= 1.01 * len(apple.data) + 8192, "our file is larger than coremltools'")


def main():
    with tempfile.TemporaryDirectory() as name:
        for architecture in sys.argv[1:] or ["tiny", "mobilenet_v3_small", "resnet50", "densenet121"]:
            judge_net(architecture, pathlib.Path(name))


if __name__ == "__main__":
    try:
        main()
    except BadModel as complaint:
        print(f"REFUSED: {complaint}")
        sys.exit(1)
    print(f"ACCEPTED: coremltools {ct.__version__} opens the files, and they say what torch says")
