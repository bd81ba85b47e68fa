"""tests/fixtures/folding.json: torch's own fuse_conv_bn_eval, in float64, on small convolutions.

`plain` is followed by a ReLU; `grouped` has a bias and groups; `kept` is a batch norm that no convolution feeds.
"""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import fixture


def case(conv, eps):
    torch.manual_seed(3)
    norm = nn.BatchNorm2d(conv.out_channels, eps=eps)
    for value in [*conv.parameters(), norm.weight.data, norm.bias.data, norm.running_mean]:
        value.data.normal_()
    norm.running_var.uniform_(0.2, 3)
    flat = lambda tensor: tensor.detach().flatten().tolist()
    fused = fuse_conv_bn_eval(conv.double().eval(), norm.double().eval())
    return {
        "conv": {key: flat(value) for key, value in conv.state_dict().items()},
        "norm": {key: flat(value) for key, value in norm.state_dict().items() if key != "num_batches_tracked"},
        "folded": {key: flat(value) for key, value in fused.state_dict().items()},
    }


if __name__ == "__main__":
    cases = {
        "plain": case(nn.Conv2d(3, 4, 3, padding=1, bias=False), eps=1e-3),
        "grouped": case(nn.Conv2d(4, 6, 1, groups=2, bias=True), eps=1e-5),
    }
    fixture.finish("folding.json", cases)
