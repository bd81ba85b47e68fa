"""tests/fixtures/onnx.json: small networks as torch.onnx exports them, and what torch says of an image.

Run with torch (Debian 12: python3-torch); --check compares with the committed file. Of each network: `model`, the file in base64, with the
names of its classes appended as the field metadata_props of onnx.proto3 (torch writes none); `rgb`, the image [size, size, 3]; the
probabilities of float64. `operators` are those that the file has, read off its bytes, so that none gets lost unseen.
"""

import base64
import io
import json
import re
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import fixture
import formula

warnings.filterwarnings("ignore")
SIZE = 12
LABELS = ['a, "b"', "ç ✓", "c\nd", "e"]


class Backbones(nn.Module):
    """What the three backbones are made of."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.gate = nn.Conv2d(8, 8, 1)
        self.later = nn.BatchNorm2d(16, eps=1e-3)
        self.point = nn.Conv2d(16, 8, 1)
        self.pool = nn.AvgPool2d(2, 2)
        self.hidden = nn.Linear(8, 6)
        self.classifier = nn.Linear(6, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.stem((x / 255 - 0.45) / 0.225))), 3, 2, 1)
        y = F.hardswish(self.depthwise(x))
        y = y * F.hardsigmoid(self.gate(F.adaptive_avg_pool2d(y, 1)))
        x = self.pool(self.point(F.relu(self.later(torch.cat([x, x + y], 1)))))
        x = F.dropout(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1), training=self.training)
        return torch.softmax(4 * self.classifier(F.hardswish(self.hidden(x))), 1)


class Others(nn.Module):
    """What else torch makes of such networks: means over axes, views, uneven padding and dilations, a matrix the other way round."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(3, 6, (3, 2), stride=(2, 1), padding=(2, 0), dilation=(2, 1))
        self.head = nn.Linear(4, 12, bias=False)

    def forward(self, x):
        x = F.relu6(self.wide(0.02 * x - 2))
        x = torch.clamp(F.avg_pool2d(x, (3, 2), (2, 3)), max=1.5).permute(0, 2, 1, 3)
        x = x - 0.5 * x.mean(3, keepdim=True)
        x = torch.maximum(x, 0.25 * x).mean(3).reshape(-1, 12)
        return torch.softmax(4 * (x @ self.head.weight), 1)


def metadata(key, value):
    """One entry of ModelProto.metadata_props (14), a StringStringEntryProto (1, 2), as bytes to append to a model."""

    def field(number, content):
        length, size = b"", len(content)
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    return field(14, field(1, key.encode()) + field(2, value.encode()))


def entry(model, opset, first):
    model = formula.fill(model, formula.tensor).eval()
    rgb = np.clip(formula.images(first + 1, SIZE)[first] * 60 + 120, 0, 255).round().astype(np.uint8)
    batch = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
    file = io.BytesIO()
    torch.onnx.export(model, batch, file, opset_version=opset, input_names=["pixels"], dynamic_axes={"pixels": [0]})
    data = file.getvalue() + metadata("pacerid.classes", json.dumps(LABELS, ensure_ascii=False))
    with torch.no_grad():
        probabilities = model.double()(batch.double())[0]
    return {
        "opset": opset,
        "operators": sorted({name.decode() for name in re.findall(rb'"[\x03-\x14]([A-Z]\w+)', data)}),
        "size": SIZE,
        "rgb": rgb.reshape(-1).tolist(),
        "probabilities": probabilities.tolist(),
        "model": base64.b64encode(data).decode(),
    }


fixture.finish(
    "onnx.json",
    {
        "backbones, opset 13": entry(Backbones(), 13, 0),
        "backbones, opset 17": entry(Backbones(), 17, 1),
        "others, opset 14": entry(Others(), 14, 2),
    },
)
