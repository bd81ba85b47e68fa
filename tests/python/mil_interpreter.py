"""Reads an .mlpackage and runs its ML Program with numpy, one image at a time.

Independent of the writer in src/export: it knows Core ML's protobuf messages (from coremltools), the blob format
(StorageFormat.hpp) and what the iOS 15 operations mean (coremltools' documentation), nothing else.

Arithmetic: a float16 value is held as float32 and rounded to float16 after each operation; sums inside an operation are
float32 or better, which is what Apple's hardware does at its best. Float32 programs are float32 all through.
"""

import json
import pathlib
import struct

import numpy as np
from coremltools.proto import MIL_pb2, Model_pb2

TYPE_NAME = {value: name for name, value in MIL_pb2.DataType.items()}
NUMPY_TYPE = {"FLOAT16": np.float16, "FLOAT32": np.float32, "UINT8": np.uint8, "INT8": np.int8, "UINT32": np.uint32}
BLOB_TYPE = {1: np.float16, 2: np.float32, 3: np.uint8, 4: np.int8}


class BadPackage(Exception):
    """The package breaks a rule of the format."""


def require(condition, complaint):
    if not condition:
        raise BadPackage(complaint)


class WeightFile:
    """Blob storage, version 2: 64-byte header, then (64 bytes of metadata, data) for each blob, all aligned to 64 bytes."""

    def __init__(self, path):
        self.bytes = path.read_bytes()
        self.count, version = struct.unpack_from("<II", self.bytes, 0)
        require(version == 2, f"weight.bin has version {version}")
        self.read_spans = {}

    def read(self, offset):
        require(offset % 64 == 0, f"blob metadata at {offset} is not aligned")
        require(offset + 64 <= len(self.bytes), f"blob metadata at {offset} lies beyond the file")
        sentinel, code, size, start, padding = struct.unpack_from("<IIQQQ", self.bytes, offset)
        require(sentinel == 0xDEADBEEF, f"no blob begins at {offset}")
        require(code in BLOB_TYPE, f"blob at {offset} has data type {code}")
        require(padding == 0, f"blob at {offset} has padding bits")
        require(start % 64 == 0 and start >= offset + 64, f"data of the blob at {offset} is misplaced")
        require(start + size <= len(self.bytes), f"data of the blob at {offset} lies beyond the file")
        self.read_spans[offset] = start + size
        return np.frombuffer(self.bytes, BLOB_TYPE[code], size // np.dtype(BLOB_TYPE[code]).itemsize, start)

    def check_all_read(self):
        require(len(self.read_spans) == self.count, f"{self.count} blobs in the header, {len(self.read_spans)} referenced")
        end = 64
        for offset, stop in sorted(self.read_spans.items()):
            require(offset == end, f"blob at {offset} where the one before ends at {end}")
            end = -(-stop // 64) * 64
        require(len(self.bytes) <= end, f"{len(self.bytes) - end} bytes after the last blob")


def shape_of(tensor_type):
    return tuple(dimension.constant.size for dimension in tensor_type.dimensions)


class Package:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        manifest = json.loads((self.folder / "Manifest.json").read_text())
        require(manifest["fileFormatVersion"] == "1.0.0", "Manifest.json has another format version")
        items = manifest["itemInfoEntries"]
        require(manifest["rootModelIdentifier"] in items, "the root model is not among the items")
        paths = {item["path"]: identifier for identifier, item in items.items()}
        require(
            set(paths) == {"com.apple.CoreML/model.mlmodel", "com.apple.CoreML/weights"}, f"items are {sorted(paths)}"
        )
        require(
            paths["com.apple.CoreML/model.mlmodel"] == manifest["rootModelIdentifier"], "the root is not the model"
        )
        require(all(item["author"] == "com.apple.CoreML" for item in items.values()), "an item has another author")
        data = self.folder / "Data" / "com.apple.CoreML"
        self.spec = Model_pb2.Model()
        self.spec.ParseFromString((data / "model.mlmodel").read_bytes())
        self.weights = WeightFile(data / "weights" / "weight.bin")
        self.weight_bytes = len(self.weights.bytes)
        require(list(self.spec.mlProgram.functions) == ["main"], "there is not exactly one function, main")
        self.function = self.spec.mlProgram.functions["main"]
        self.block = self.function.block_specializations[self.function.opset]
        self.constants = {}
        self.labels = None
        for operation in self.block.operations:
            if operation.type == "const":
                self.constants[operation.outputs[0].name] = self.constant(operation.attributes["val"])
            if operation.type in UNPACKED:
                self.constants[operation.outputs[0].name] = self.unpacked(operation)
            if operation.type == "classify":
                labels = operation.inputs["classes"].arguments[0].value.immediateValue.list.values
                self.labels = [value.immediateValue.tensor.strings.values[0] for value in labels]
        self.weights.check_all_read()
        require(self.labels is not None, "the program does not end in classify")

    def constant(self, value):
        tensor_type = value.type.tensorType
        kind, shape = TYPE_NAME[tensor_type.dataType], shape_of(tensor_type)
        require(tensor_type.rank == len(shape), "a rank differs from its number of dimensions")
        if value.WhichOneof("value") == "blobFileValue":
            require(value.blobFileValue.fileName == "@model_path/weights/weight.bin", value.blobFileValue.fileName)
            data = self.weights.read(value.blobFileValue.offset)
            require(data.dtype == NUMPY_TYPE[kind], f"a blob of {data.dtype} stands for {kind}")
            return self.hold(data.reshape(shape)) if kind.startswith("FLOAT") else data.reshape(shape)
        tensor = value.immediateValue.tensor
        values = getattr(tensor, tensor.WhichOneof("value")).values
        if kind == "STRING":
            return values[0]
        if kind == "BOOL":
            return bool(values[0])
        if kind == "FLOAT16":
            return self.hold(np.frombuffer(values, np.float16).reshape(shape))
        if kind == "FLOAT32":
            return self.hold(np.array(values, np.float32).reshape(shape))
        if kind in ("UINT8", "INT8", "UINT32"):
            require(tensor.WhichOneof("value") == "bytes", f"{kind} that are not bytes")
            return np.frombuffer(values, NUMPY_TYPE[kind]).reshape(shape)
        require(kind == "INT32", f"a constant of type {kind}")
        return np.array(values, np.int64).reshape(shape)

    def unpacked(self, operation):
        """What a packed weight stands for, rounded to the type of its output."""
        parts = {key: self.constant(value) for key, value in operation.attributes.items() if key != "name"}
        declared = operation.outputs[0].type.tensorType
        weight = UNPACKED[operation.type](**parts)
        require(weight.shape == shape_of(declared), f"{operation.outputs[0].name} unpacks to {weight.shape}")
        return self.hold(weight.astype(NUMPY_TYPE[TYPE_NAME[declared.dataType]]))

    @property
    def is_packed(self):
        return any(operation.type in UNPACKED for operation in self.block.operations)

    @staticmethod
    def hold(array):
        return array.astype(np.float32)

    @property
    def op_counts(self):
        counts = {}
        for operation in self.block.operations:
            counts[operation.type] = counts.get(operation.type, 0) + 1
        return counts

    @property
    def is_float16(self):
        return any(
            output.type.tensorType.dataType == MIL_pb2.FLOAT16
            for operation in self.block.operations
            for output in operation.outputs
        )

    def run(self, image):
        """`image`: [H,W,3] uint8. Returns {label: probability}."""
        names = dict(self.constants)
        placeholder = self.function.inputs[0]
        x = np.asarray(image, np.float32).transpose(2, 0, 1)[None]
        require(x.shape == shape_of(placeholder.type.tensorType), f"the input is {x.shape}")
        names[placeholder.name] = x
        answer = None
        for operation in self.block.operations:
            if operation.type == "const" or operation.type in UNPACKED:
                continue
            arguments = {}
            for key, argument in operation.inputs.items():
                values = [
                    names[binding.name] if binding.WhichOneof("binding") == "name" else binding.value
                    for binding in argument.arguments
                ]
                arguments[key] = values if key == "values" else values[0]
            if operation.type == "classify":
                probabilities = arguments["probabilities"].reshape(-1)
                require(len(probabilities) == len(self.labels), "as many labels as probabilities")
                answer = dict(zip(self.labels, probabilities.astype(np.float64).tolist()))
                continue
            output = operation.outputs[0]
            require(operation.type in OPERATIONS, f"unknown operation {operation.type}")
            result = OPERATIONS[operation.type](**arguments)
            declared = output.type.tensorType
            require(
                result.shape == shape_of(declared),
                f"{output.name} ({operation.type}) is {result.shape}, declared {shape_of(declared)}",
            )
            with np.errstate(over="ignore"):
                names[output.name] = result.astype(NUMPY_TYPE[TYPE_NAME[declared.dataType]]).astype(np.float32)
        require(answer is not None, "the program ends without classify")
        extra = [name for name in self.block.outputs if name not in ("classLabel", "classLabel_probs")]
        self.extra_outputs = {name: names[name] for name in extra}
        return answer


def pads(pad_type, pad):
    if pad_type == "valid":
        return 0, 0, 0, 0
    require(pad_type == "custom", f"pad_type {pad_type}")
    return tuple(int(value) for value in pad)


def windows(x, kernel, strides, pad, fill):
    """[N,C,H,W] → [N,C,OH,OW,KH,KW], a view."""
    top, bottom, left, right = pad
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, tuple(kernel), axis=(2, 3))
    return view[:, :, :: int(strides[0]), :: int(strides[1])]


def conv(x, weight, strides, pad_type, dilations, groups, pad=None, bias=None):
    require(all(dilations == 1), "only dilation 1 is known here")
    groups = int(groups)
    out_channels, per_group = weight.shape[:2]
    view = windows(x, weight.shape[2:], strides, pads(pad_type, pad), 0)
    parts = []
    if per_group == 1 and groups == x.shape[1] == out_channels:
        parts.append(np.einsum("nchwij,cij->nchw", view, weight[:, 0]))
    else:
        size = out_channels // groups
        for group in range(groups):
            source = view[:, group * per_group : (group + 1) * per_group]
            filters = weight[group * size : (group + 1) * size]
            parts.append(np.tensordot(source, filters, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2))
    y = np.concatenate(parts, axis=1)
    return y if bias is None else y + bias[None, :, None, None]


def batch_norm(x, mean, variance, gamma, beta, epsilon):
    scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + float(epsilon))
    shift = beta - mean * scale
    return x * scale[None, :, None, None] + shift[None, :, None, None]


def max_pool(x, kernel_sizes, strides, pad_type, pad, ceil_mode):
    require(not ceil_mode, "only ceil_mode false is known here")
    return windows(x, kernel_sizes, strides, pads(pad_type, pad), -np.inf).max(axis=(4, 5))


def avg_pool(x, kernel_sizes, strides, pad_type, pad, exclude_padding_from_average, ceil_mode):
    require(not ceil_mode, "only ceil_mode false is known here")
    require(not any(pads(pad_type, pad)), "only unpadded average pooling is known here")
    return windows(x, kernel_sizes, strides, (0, 0, 0, 0), 0).mean(axis=(4, 5), dtype=np.float64)


def softmax(x, axis):
    e = np.exp(x.astype(np.float64) - x.max(axis=int(axis), keepdims=True))
    return e / e.sum(axis=int(axis), keepdims=True)


def concat(values, axis, interleave):
    require(not interleave, "only interleave false is known here")
    return np.concatenate(values, axis=int(axis))


def lut_to_dense(indices, lut, shape):
    require(lut.shape == (256,) and indices.dtype == np.uint8, "only tables of 256 values are known here")
    require(indices.size == np.prod(shape), "as many indices as weights")
    return lut[indices].reshape([int(size) for size in shape])


def affine_dequantize(quantized_data, zero_point, scale, axis):
    require(quantized_data.dtype == zero_point.dtype, "the zero point has another type than the data")
    along = [1] * quantized_data.ndim
    along[int(axis)] = -1
    steps = quantized_data.astype(np.int32) - zero_point.astype(np.int32).reshape(along)
    return steps.astype(np.float32) * scale.reshape(along)


UNPACKED = {"constexpr_lut_to_dense": lut_to_dense, "constexpr_affine_dequantize": affine_dequantize}

OPERATIONS = {
    "cast": lambda x, dtype: x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "real_div": lambda x, y: x / y,
    "relu": lambda x: np.maximum(x, 0),
    "thresholded_relu": lambda x, alpha: np.where(x >= alpha, x, 0),
    "sigmoid_hard": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "reduce_mean": lambda x, axes, keep_dims: x.mean(axis=tuple(int(a) for a in axes), keepdims=keep_dims, dtype=np.float64),
    "reshape": lambda x, shape: x.reshape([int(s) for s in shape]),
    "linear": lambda x, weight, bias=None: x @ weight.T + (0 if bias is None else bias),
    "conv": conv,
    "batch_norm": batch_norm,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "softmax": softmax,
    "concat": concat,
}
