"""Writes tests/fixtures/safetensors: one file with every type that we read, written by the Python library, and its values.

    python tests/python/make_safetensors_fixture.py        (wants torch and safetensors)
"""

import json
import pathlib

import torch
from safetensors.torch import save_file

folder = pathlib.Path(__file__).parent.parent / "fixtures" / "safetensors"
folder.mkdir(parents=True, exist_ok=True)

values = torch.tensor([[0.0, 1.0, -2.5], [1 / 3, 65504.0, 6e-8]], dtype=torch.float64)
tensors = {
    "f32": ("F32", values.to(torch.float32)),
    "f16": ("F16", values.to(torch.float16)),
    "bf16": ("BF16", values.to(torch.bfloat16)),
    "f64": ("F64", values),
    "i64": ("I64", torch.tensor([0, 1, -7, 123456])),
    "scalar": ("I64", torch.tensor(5)),
    "empty": ("F32", torch.zeros((0, 3))),
}
save_file(
    {name: tensor for name, (_, tensor) in tensors.items()},
    folder / "all_types.safetensors",
    {"format": "pt", "note": "ä"},
)
expected = {
    name: {"dtype": dtype, "shape": list(t.shape), "values": t.to(torch.float32).flatten().tolist()}
    for name, (dtype, t) in tensors.items()
}
(folder / "all_types.json").write_text(json.dumps(expected, indent=1) + "\n")
