"""tests/fixtures/mlmodel.json: small neural network classifiers that coremltools' own builder wrote, and what they say of one image.

Run with coremltools 9 (tests/python/requirements.txt); --check compares with the committed file. One network, of the layers that iOS 11
has, four ways of storing its weights, of which the last three are coremltools' `quantize_weights`. The image is taller than wide and BGR,
kernels, strides and paddings differ from side to side. The probabilities are by nn_interpreter.py, after NeuralNetwork.proto.
"""

import base64
import logging
import os
import tempfile
import warnings

import numpy as np

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")
os.environ["TQDM_DISABLE"] = "1"

import coremltools as ct  # noqa: E402
from coremltools.models import datatypes, neural_network  # noqa: E402

from fixture import finish  # noqa: E402
from nn_interpreter import NeuralNetwork  # noqa: E402

HEIGHT, WIDTH = 11, 8
LABELS = ["a, \"b\"", "ç ✓", "c\nd", "e"]
generator = np.random.default_rng(5)


def numbers(*shape, spread=1.0):
    return (generator.normal(0, spread, shape)).astype(np.float32)


def conv(net, name, source, inside, out, kernel, stride, padding, groups=1, bias=True):
    weights = numbers(*kernel, inside // groups, out, spread=1 / np.sqrt(np.prod(kernel) * inside / groups))
    top, bottom, left, right = padding
    net.add_convolution(
        name, inside // groups, out, *kernel, *stride, "valid", groups, weights, numbers(out, spread=0.2) if bias else None, bias,
        input_name=source, output_name=name, padding_top=top, padding_bottom=bottom, padding_left=left, padding_right=right,
    )  # fmt: skip
    return name


def built():
    net = neural_network.NeuralNetworkBuilder(
        [("pixels", datatypes.Array(3, HEIGHT, WIDTH))], [("probability", datatypes.Array(len(LABELS)))], mode="classifier"
    )
    net.set_pre_processing_parameters(
        ["pixels"], is_bgr=True, red_bias=-1.9, green_bias=-2.1, blue_bias=-1.7, image_scale=1 / 57
    )
    x = conv(net, "first", "pixels", 3, 8, (3, 2), (2, 1), (1, 2, 0, 1))
    net.add_activation("hard", "SIGMOID_HARD", x, "hard", [0.3, 0.4])
    net.add_elementwise("swish", [x, "hard"], "swish", "MULTIPLY")
    net.add_batchnorm("norm", 8, numbers(8), numbers(8), numbers(8), np.abs(numbers(8)) + 0.1, "swish", "norm", epsilon=1e-3)
    net.add_pooling("largest", 3, 2, 2, 1, "MAX", "VALID", "norm", "largest", padding_top=1, padding_bottom=1, padding_left=0, padding_right=1)
    grouped = conv(net, "grouped", "largest", 8, 8, (2, 3), (1, 1), (1, 0, 1, 1), groups=4, bias=False)
    net.add_activation("relu", "RELU", grouped, "relu")
    net.add_pooling("all", 0, 0, 0, 0, "AVERAGE", "VALID", "relu", "all", is_global=True)
    gate = conv(net, "gate", "all", 8, 8, (1, 1), (1, 1), (0, 0, 0, 0))
    net.add_elementwise("gated", ["relu", gate], "gated", "MULTIPLY")
    net.add_elementwise("joined", ["gated", "largest"], "joined", "CONCAT")
    net.add_pooling("mean", 2, 3, 1, 2, "AVERAGE", "VALID", "joined", "mean")
    net.add_scale("scaled", numbers(16), numbers(16), True, "mean", "scaled", [16], [16])
    net.add_activation("linear", "LINEAR", "scaled", "linear", [0.7, -0.1])
    net.add_elementwise("sum", ["linear", "mean"], "sum", "ADD")
    net.add_elementwise("more", ["sum"], "more", "ADD", 0.25)
    net.add_activation("threshold", "THRESHOLDEDRELU", "more", "threshold", -0.5)
    net.add_flatten("flat", 0, "threshold", "flat")
    height, width = 2, 3
    net.add_inner_product("logits", numbers(4, 16 * height * width, spread=0.3), numbers(4), 16 * height * width, 4, True, "flat", "logits")
    net.add_softmax("probability", "logits", "probability")
    net.set_class_labels(LABELS, predicted_feature_name="classLabel", prediction_blob="probability")
    return net.spec


def entry(spec, rgb):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.mlmodel")
        data = spec.SerializeToString(deterministic=True)
        with open(path, "wb") as file:
            file.write(data)
        network = NeuralNetwork(path)
        probabilities = network.probabilities(rgb)
    return {
        "height": HEIGHT,
        "width": WIDTH,
        "rgb": rgb.reshape(-1).tolist(),
        "probabilities": probabilities.tolist(),
        "version": spec.specificationVersion,
        "model": base64.b64encode(data).decode(),
    }


if __name__ == "__main__":
    spec = built()
    rgb = generator.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    model = ct.models.MLModel(spec, skip_model_load=True)
    packed = lambda nbits, mode: neural_network.quantization_utils.quantize_weights(model, nbits, mode).get_spec()
    finish(
        "mlmodel.json",
        {
            "float32": entry(spec, rgb),
            "float16": entry(packed(16, "linear"), rgb),
            "linear": entry(packed(8, "linear"), rgb),
            "palettized": entry(packed(8, "linear_lut"), rgb),
        },
    )
