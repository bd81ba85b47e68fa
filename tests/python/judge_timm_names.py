"""Do timm's MobileNetV3-Small weights, renamed by src/weights/timmMobilenet.ts, give timm's logits in torchvision's network?

    python tests/python/judge_timm_names.py [--fixture]        (wants torch, torchvision, timm, safetensors, node)

Weights are random (seed 0) and small, so that many variances lie below torchvision's epsilon; statistics from one pass.
--fixture also writes timm's names and shapes for the unit test.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]

torch.manual_seed(0)
network = timm.create_model("mobilenetv3_small_100", pretrained=False)
for module in network.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        module.weight.data.uniform_(0.5, 1.5)
        module.bias.data.normal_(0, 0.2)
        module.momentum = 1.0
    if isinstance(module, torch.nn.Conv2d) and module.bias is None:
        module.weight.data *= 0.03
with torch.no_grad():
    network.train()(torch.randn(8, 3, 224, 224))
network.eval()
variances = torch.cat([m.running_var for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)])
below = (variances < 1e-3 - 1e-5).float().mean().item()
state = network.state_dict()
if "--fixture" in sys.argv:
    shapes = {name: list(t.shape) for name, t in state.items() if not name.endswith("num_batches_tracked")}
    (ROOT / "tests/fixtures/timm_mobilenetv3_small_100.json").write_text(json.dumps(shapes, indent=0) + "\n")

with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    save_file({name: t.contiguous() for name, t in state.items()}, folder / "timm.safetensors")
    command = ["node", "scripts/run.mjs", "tests/tools/renameTimmWeights.ts"]
    subprocess.run([*command, str(folder / "timm.safetensors"), str(folder / "out.safetensors")], cwd=ROOT, check=True)
    renamed = load_file(folder / "out.safetensors")
twin = torchvision.models.mobilenet_v3_small(weights=None).eval()
left = twin.load_state_dict(renamed, strict=False)
assert not left.unexpected_keys and all(key.endswith("num_batches_tracked") for key in left.missing_keys), left
with torch.no_grad():
    x = torch.randn(2, 3, 224, 224)
    a, b = network(x), twin(x)
difference = ((a - b).abs().max() / a.abs().max()).item()
print(f"timm {timm.__version__}: largest difference of the logits {difference:.2e} of their largest, {below:.0%} of variances below epsilon")
if not difference < 1e-4:
    sys.exit("REFUSED: the renamed weights are another network")
print("ACCEPTED: the renamed weights give timm's logits")
