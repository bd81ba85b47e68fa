"""Writes tests/fixtures/safetensors: one file with every type that we read, written by the Python library, and its values.

Run with safetensors 0.8 and numpy: python tests/python/make_safetensors_fixture.py; --check compares with the committed files.
"""

import json
import sys
from pathlib import Path

import numpy
from safetensors import TensorSpec, safe_open, serialize_file

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "safetensors"


def bfloat16(values):
    """The upper half of float32's bits, to nearest, ties to even; as bits and as float32."""
    bits = values.astype(numpy.float32).view(numpy.uint32)
    upper = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)
    return upper, (upper.astype(numpy.uint32) << 16).view(numpy.float32)


def spec(dtype, array):
    return TensorSpec(dtype=dtype, shape=list(array.shape), data_ptr=array.ctypes.data, data_len=array.nbytes)


def main():
    values = numpy.array([[0.0, 1.0, -2.5], [1 / 3, 65504.0, 6e-8]])
    bf16_bits, bf16_values = bfloat16(values)
    # name: (type in the file, the library's name of it, bytes, values)
    tensors = {
        "f32": ("F32", "float32", values.astype(numpy.float32), None),
        "f16": ("F16", "float16", values.astype(numpy.float16), None),
        "bf16": ("BF16", "bfloat16", bf16_bits, bf16_values),
        "f64": ("F64", "float64", values, None),
        "i64": ("I64", "int64", numpy.array([0, 1, -7, 123456]), None),
        "scalar": ("I64", "int64", numpy.array(5), None),
        "empty": ("F32", "float32", numpy.zeros((0, 3), numpy.float32), None),
    }
    target = FOLDER / "all_types.safetensors"
    check = "--check" in sys.argv[1:]
    written = target.with_suffix(".new") if check else target
    serialize_file(
        {name: spec(dtype, a) for name, (_, dtype, a, _) in tensors.items()},
        written,
        {"format": "pt", "note": "ä"},
    )
    expected = {
        name: {
            "dtype": dtype,
            "shape": list(stored.shape),
            "values": (stored if shown is None else shown).astype(numpy.float32).flatten().tolist(),
        }
        for name, (dtype, _, stored, shown) in tensors.items()
    }
    text = json.dumps(expected, indent=1) + "\n"
    if not check:
        (FOLDER / "all_types.json").write_text(text)
        return
    same = contents(written) == contents(target)
    written.unlink()
    if not same or text != (FOLDER / "all_types.json").read_text():
        sys.exit("safetensors/all_types: the committed files hold something else")
    print("safetensors/all_types: as committed")


def contents(path):
    """The order of the header's entries is free: the tensors' bytes, and the metadata."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    return metadata, {
        name: (entry["dtype"], entry["shape"], raw[8 + size :][slice(*entry["data_offsets"])])
        for name, entry in header.items()
        if name != "__metadata__"
    }


main()
