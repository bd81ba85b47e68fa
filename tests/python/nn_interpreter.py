"""Reads an .mlmodel that is a neural network classifier and runs it with numpy, one image at a time.

Independent of the writer in src/export and of the interpreter of ML Programs beside it: it knows Core ML's protobuf messages (from
coremltools), what NeuralNetwork.proto says of each layer, and the rules of Apple's own validator
(apple/coremltools, mlmodel/src/Validation/NeuralNetwork: layers that an old specification doesn't have, sizes of weights, blobs
that nobody made), nothing else.

Arithmetic: a neural network's values have no type; the CPU computes in float32, the GPU and the Neural Engine in float16. Here: float32
where all weights are float32 (or 8 bits), else what a layer gives is rounded to float16; sums inside a layer are float64.
"""

import pathlib

import numpy as np
from coremltools.proto import FeatureTypes_pb2, Model_pb2, NeuralNetwork_pb2

# NeuralNetwork.proto: these came with specification version 4, iOS 13.
SINCE_VERSION_4 = {"copy", "loadConstantND", "reduceMean", "reshapeStatic", "softmaxND"}


class BadModel(Exception):
    """The file breaks a rule of the format."""


def demand(condition, complaint):
    if not condition:
        raise BadModel(complaint)


class NeuralNetwork:
    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        self.spec = Model_pb2.Model()
        self.spec.ParseFromString(self.data)
        demand(self.spec.WhichOneof("Type") == "neuralNetworkClassifier", f"a model of type {self.spec.WhichOneof('Type')}")
        self.network = self.spec.neuralNetworkClassifier
        self.layers = list(self.network.layers)
        self.labels = list(self.network.stringClassLabels.vector)
        # One stands for sequence and batch (RANK5_IMAGE_MAPPING), or only for the batch.
        exact = self.network.imageInputShapeMapping == NeuralNetwork_pb2.RANK4_IMAGE_MAPPING
        self.leading = 1 if exact else 2
        self.kinds = set()
        self.weights = {}
        self.read_weights()
        self.is_float16 = "float16" in self.kinds
        self.check_structure(exact)
        self.silenced = None

    # Weights

    def read_weights(self):
        for layer in self.layers:
            kind = layer.WhichOneof("layer")
            demand(kind in LAYERS, f"{layer.name}: a layer of type {kind}")
            parameters = getattr(layer, kind)
            for field, value in parameters.ListFields():
                if field.message_type is None or field.message_type.name != "WeightParams":
                    continue
                rows, size = expected_size(kind, field.name, parameters)
                self.weights[layer.name, field.name] = self.numbers(value, f"{layer.name}.{field.name}", rows, size)
            types = {
                kind
                for field, value in parameters.ListFields()
                if field.message_type is not None and field.message_type.name == "WeightParams"
                for kind in [weight_type(value)]
                if kind != "8 bits"
            }
            demand(len(types) <= 1, f"{layer.name} mixes {types}")

    def numbers(self, value, where, rows, size):
        kind = weight_type(value)
        demand(kind is not None, f"{where} is there more than once, or not at all")
        self.kinds.add(kind)
        if kind == "float32":
            numbers = np.array(value.floatValue, np.float32)
        elif kind == "float16":
            numbers = np.frombuffer(value.float16Value, "<f2").astype(np.float32)
        else:
            raw = np.frombuffer(value.rawValue, np.uint8)
            demand(value.quantization.numberOfBits == 8, f"{where} has {value.quantization.numberOfBits} bits")
            if value.quantization.WhichOneof("QuantizationType") == "lookupTableQuantization":
                table = np.array(value.quantization.lookupTableQuantization.floatValue, np.float32)
                demand(len(table) == 256, f"{where} has a table of {len(table)}")
                numbers = table[raw]
            else:
                scale = np.array(value.quantization.linearQuantization.scale, np.float32)
                bias = np.array(value.quantization.linearQuantization.bias, np.float32)
                demand(len(scale) in (1, rows) and len(bias) in (0, len(scale)), f"{where} has {len(scale)} scales")
                bias = bias if len(bias) else np.zeros_like(scale)
                numbers = (raw.reshape(len(scale), -1) * scale[:, None] + bias[:, None]).reshape(-1)
        demand(numbers.size == size, f"{where} has {numbers.size} numbers in place of {size}")
        demand(np.isfinite(numbers).all(), f"{where} is not finite")
        return numbers

    # Structure

    def check_structure(self, exact):
        network, description = self.network, self.spec.description
        needed = 3 if "8 bits" in self.kinds else 2 if "float16" in self.kinds else 1
        kinds = {layer.WhichOneof("layer") for layer in self.layers}
        if exact or kinds & SINCE_VERSION_4:
            needed = 4
        demand(self.spec.specificationVersion >= needed, f"version {self.spec.specificationVersion}, but it needs {needed}")
        demand(exact or not kinds & SINCE_VERSION_4, f"{kinds & SINCE_VERSION_4} with images of rank 5")
        self.needed_version = needed

        demand(len(description.input) == 1, "there is not one input")
        self.input = description.input[0].name
        image = description.input[0].type.imageType
        colors = {FeatureTypes_pb2.ImageFeatureType.RGB: "RGB", FeatureTypes_pb2.ImageFeatureType.BGR: "BGR"}
        demand(image.colorSpace in colors, "the input is neither RGB nor BGR")
        self.colors = colors[image.colorSpace]
        self.size = (image.height, image.width)
        known = {self.input}
        for layer in self.layers:
            demand(all(name in known for name in layer.input), f"{layer.name} reads what nobody made: {list(layer.input)}")
            demand(len(layer.output) == 1 and layer.output[0] not in known, f"{layer.name}: {list(layer.output)} twice")
            known.add(layer.output[0])
        names = [layer.name for layer in self.layers]
        demand(len(set(names)) == len(names), "two layers have one name")
        demand(network.labelProbabilityLayerName in known - {self.input}, "no layer gives the probabilities")
        self.outputs = [feature.name for feature in description.output]
        for name in self.outputs:
            special = {description.predictedFeatureName, description.predictedProbabilitiesName}
            demand(name in known or name in special, f"no layer gives the output {name}")
        demand(len(set(self.labels)) == len(self.labels), "a label occurs twice")
        for step in network.preprocessing:
            demand(step.featureName == self.input, f"preprocessing of {step.featureName}")
            demand(step.WhichOneof("preprocessor") == "scaler", "preprocessing is no scaler")

    @property
    def counts(self):
        counts = {}
        for layer in self.layers:
            kind = layer.WhichOneof("layer")
            counts[kind] = counts.get(kind, 0) + 1
        return dict(sorted(counts.items()))

    # Arithmetic

    def rounded(self, values):
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32) if self.is_float16 else values.astype(np.float32)

    def run(self, image):
        """`image`: [H,W,3] uint8, RGB. Returns every blob by its name."""
        demand(image.shape == (*self.size, 3), f"an image of {image.shape}")
        order = slice(None) if self.colors == "RGB" else slice(None, None, -1)
        x = image[:, :, order].astype(np.float32).transpose(2, 0, 1)[(None,) * self.leading]
        for step in self.network.preprocessing:
            scaler = step.scaler
            bias = np.array([scaler.redBias, scaler.greenBias, scaler.blueBias], np.float32)[order]
            x = self.rounded(x * np.float32(scaler.channelScale) + bias[:, None, None])
        blobs = {self.input: x}
        for layer in self.layers:
            kind = layer.WhichOneof("layer")
            inputs = [blobs[name] for name in layer.input]

            def weight(field, name=layer.name):
                value = self.weights[name, field]
                return np.zeros_like(value) if name == self.silenced else value

            result = LAYERS[kind](getattr(layer, kind), weight, *inputs)
            blobs[layer.output[0]] = self.rounded(np.asarray(result))
        return blobs

    def probabilities(self, image):
        vector = self.run(image)[self.network.labelProbabilityLayerName].reshape(-1)
        demand(len(vector) == len(self.labels), f"{len(vector)} probabilities for {len(self.labels)} labels")
        return vector.astype(np.float64)


def weight_type(value):
    there = [
        kind
        for kind, field in (("float32", value.floatValue), ("float16", value.float16Value), ("8 bits", value.rawValue))
        if len(field) > 0
    ]
    return there[0] if len(there) == 1 else None


def expected_size(kind, field, parameters):
    """(rows, numbers) that a field must have."""
    if kind == "convolution":
        rows = parameters.outputChannels
        return (rows, rows * parameters.kernelChannels * int(np.prod(parameters.kernelSize))) if field == "weights" else (rows, rows)
    if kind == "innerProduct":
        rows = parameters.outputChannels
        return (rows, rows * parameters.inputChannels) if field == "weights" else (rows, rows)
    if kind == "batchnorm":
        return 1, parameters.channels
    if kind == "scale":
        return 1, int(np.prod(parameters.shapeScale if field == "scale" else parameters.shapeBias))
    demand(kind == "loadConstantND", f"{kind} has weights")
    return 1, int(np.prod(parameters.shape))


def per_channel(values):
    return values.astype(np.float64)[:, None, None]


def edges(parameters, which):
    demand(parameters.WhichOneof(which) == "valid", f"padding is {parameters.WhichOneof(which)}")
    amounts = parameters.valid.paddingAmounts.borderAmounts
    if len(amounts) == 0:
        return (0, 0), (0, 0)
    return tuple((edge.startEdgeSize, edge.endEdgeSize) for edge in amounts)


def patches(x, kernel, stride, around, fill):
    """[..., C, H, W] → [..., C, OH, OW, KH, KW], of a window that stays inside the padded image."""
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + list(around), constant_values=fill)
    height = (padded.shape[-2] - kernel[0]) // stride[0] + 1
    width = (padded.shape[-1] - kernel[1]) // stride[1] + 1
    cut = np.empty((*padded.shape[:-2], height, width, *kernel), padded.dtype)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i, i + stride[0] * (height - 1) + 1, stride[0])
            columns = slice(j, j + stride[1] * (width - 1) + 1, stride[1])
            cut[..., i, j] = padded[..., rows, columns]
    return cut


def convolution(parameters, weight, x):
    demand(not parameters.isDeconvolution, "a deconvolution")
    demand(all(factor == 1 for factor in parameters.dilationFactor), "only dilation 1 is known here")
    groups = parameters.nGroups or 1
    kernel, stride = tuple(parameters.kernelSize), tuple(parameters.stride)
    demand(x.shape[-3] == parameters.kernelChannels * groups, f"{x.shape[-3]} channels for {parameters.kernelChannels} × {groups}")
    cut = patches(x.reshape(x.shape[-3:]), kernel, stride, edges(parameters, "ConvolutionPaddingType"), 0)
    channels, height, width = cut.shape[:3]
    columns = cut.reshape(groups, channels // groups, height * width, -1).transpose(0, 1, 3, 2)
    columns = columns.reshape(groups, -1, height * width).astype(np.float64)
    filters = weight("weights").reshape(groups, parameters.outputChannels // groups, -1).astype(np.float64)
    y = (filters @ columns).reshape(*x.shape[:-3], parameters.outputChannels, height, width)
    return y + per_channel(weight("bias")) if parameters.hasBias else y


def pooling(parameters, weight, x):
    average = parameters.type == NeuralNetwork_pb2.PoolingLayerParams.AVERAGE
    demand(average or parameters.type == NeuralNetwork_pb2.PoolingLayerParams.MAX, "pooling of another type")
    if parameters.globalPooling:
        reduce = np.mean if average else np.max
        return reduce(x.astype(np.float64), axis=(-2, -1), keepdims=True)
    around = edges(parameters, "PoolingPaddingType")
    demand(not average or not np.any(around), "only unpadded average pooling is known here")
    cut = patches(x, tuple(parameters.kernelSize), tuple(parameters.stride), around, -np.inf)
    return cut.astype(np.float64).mean(axis=(-2, -1)) if average else cut.max(axis=(-2, -1))


def inner_product(parameters, weight, x):
    matrix = weight("weights").reshape(parameters.outputChannels, parameters.inputChannels).astype(np.float64)
    # Ranks of 4 and 5: the last three are one, and come out as [C_out, 1, 1].
    image_like = x.ndim >= 4
    rows = x.reshape(*x.shape[:-3], -1) if image_like else x
    y = rows @ matrix.T
    if parameters.hasBias:
        y = y + weight("bias")
    return y[..., None, None] if image_like else y


def batchnorm(parameters, weight, x):
    demand(not parameters.computeMeanVar and not parameters.instanceNormalization, "statistics of the image itself")
    epsilon = np.float64(parameters.epsilon or 1e-5)
    scale = per_channel(weight("gamma")) / np.sqrt(per_channel(weight("variance")) + epsilon)
    return (x - per_channel(weight("mean"))) * scale + per_channel(weight("beta"))


def scale(parameters, weight, x):
    demand(len(parameters.shapeScale) == 1, "a scale that isn't one a channel")
    demand(not parameters.hasBias or len(parameters.shapeBias) == 1, "a bias that isn't one a channel")
    y = x * per_channel(weight("scale"))
    return y + per_channel(weight("bias")) if parameters.hasBias else y


def activation(parameters, weight, x):
    kind = parameters.WhichOneof("NonlinearityType")
    chosen = getattr(parameters, kind)
    if kind == "ReLU":
        return np.maximum(x, 0)
    if kind == "linear":
        return np.float32(chosen.alpha) * x + np.float32(chosen.beta)
    if kind == "sigmoidHard":
        return np.clip(np.float32(chosen.alpha) * x + np.float32(chosen.beta), 0, 1)
    demand(kind == "thresholdedReLU", f"activation {kind}")
    return np.where(x >= chosen.alpha, x, 0)


def combined(operation):
    def layer(parameters, weight, *inputs):
        if len(inputs) == 1:
            return operation(inputs[0], np.float32(parameters.alpha))
        result = inputs[0]
        for other in inputs[1:]:
            demand(result.ndim == other.ndim, "inputs of different ranks")
            result = operation(result, other)
        demand(result.shape == np.broadcast_shapes(*[value.shape for value in inputs]), "broadcasting")
        return result

    return layer


def softmax_along(axis):
    def layer(parameters, weight, x):
        chosen = axis(parameters)
        e = np.exp(x.astype(np.float64) - x.max(axis=chosen, keepdims=True))
        return e / e.sum(axis=chosen, keepdims=True)

    return layer


LAYERS = {
    "convolution": convolution,
    "pooling": pooling,
    "innerProduct": inner_product,
    "batchnorm": batchnorm,
    "scale": scale,
    "activation": activation,
    "add": combined(np.add),
    "multiply": combined(np.multiply),
    "concat": lambda parameters, weight, *inputs: np.concatenate(inputs, axis=-5 if parameters.sequenceConcat else -3),
    "flatten": lambda parameters, weight, x: x.reshape(*x.shape[:-3], -1, 1, 1),
    "softmax": softmax_along(lambda parameters: -3),
    "softmaxND": softmax_along(lambda parameters: parameters.axis),
    "reshapeStatic": lambda parameters, weight, x: x.reshape(tuple(parameters.targetShape)),
    "reduceMean": lambda parameters, weight, x: x.astype(np.float64).mean(axis=tuple(parameters.axes), keepdims=parameters.keepDims),
    "copy": lambda parameters, weight, x: x,
    "loadConstantND": lambda parameters, weight: weight("data").reshape(tuple(parameters.shape)),
}
