"""tests/fixtures/optimisers.json: ten steps of a small network by each of torch.optim's optimisers that a run may have, and clipping by norm.

Run with torch (Debian 12: python3-torch); --check compares with the committed file. The network is that of make_gradients.py, weights
and images are by formula. Numbers are float64's; `spread` is how far torch's own float32 is from them, in the measure of the tests.
"""

import json
import sys

import torch

import fixture
from make_gradients import IMAGES, NETWORK, SIZE, parameters, signed, step_gradients

STEPS = 10
# Every kind of parameter, and where gradients are largest and smallest; those of all others follow from the same code.
KEPT = ["stem.conv.weight", "stem.norm.weight", "stem.norm.bias", "block.depthwise.weight", "se.fc1.bias", "se.fc2.weight", "dense.norm.bias",
        "head.weight", "head.bias"]
WITH_STATE = ["stem.norm.bias", "se.fc1.bias", "head.weight"]

ADAM = {"optimizer": "adam", "weight_decay": 0, "rate": 0.01, "parts": [6], "clip_norm": None}
SGD = {"optimizer": "sgd", "weight_decay": 0, "momentum": 0, "nesterov": False, "rate": 0.3, "parts": [6], "clip_norm": None}
CASES = {
    "Adam": ADAM,
    "Adam, weight decay 0.1": ADAM | {"weight_decay": 0.1},
    "AdamW, weight decay 0.01": ADAM | {"optimizer": "adamw", "weight_decay": 0.01},
    "AdamW, weight decay 0.1": ADAM | {"optimizer": "adamw", "weight_decay": 0.1},
    "SGD": SGD,
    "SGD, momentum 0.9": SGD | {"momentum": 0.9},
    "SGD, momentum 0.9, Nesterov, weight decay 0.05": SGD | {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    "Adam, weight decay 0.1, clipped": ADAM | {"weight_decay": 0.1, "clip_norm": 0.8},
    "SGD, momentum 0.9, clipped, in two parts": SGD | {"momentum": 0.9, "clip_norm": 0.8, "parts": [4, 2]},
}


def optimiser(case, trained):
    rate, decay = case["rate"], case["weight_decay"]
    if case["optimizer"] == "sgd":
        return torch.optim.SGD(trained, rate, momentum=case["momentum"], nesterov=case["nesterov"], weight_decay=decay)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[case["optimizer"]](trained, rate, weight_decay=decay)


def run(case, dtype):
    """Losses, norms of the gradient before clipping, weights and what the optimiser keeps, after STEPS steps."""
    state = {node["name"]: {k: t.to(dtype) for k, t in parameters(node).items()} for node in NETWORK}
    named = {f"{n}.{k}": t for n, own in state.items() for k, t in own.items()}
    trained = {n: t.requires_grad_() for n, t in named.items() if n.endswith((".weight", ".bias"))}
    before = {n: t.detach().clone() for n, t in trained.items()}
    optim = optimiser(case, trained.values())
    images = (signed("optimiser images", [STEPS, IMAGES, SIZE, SIZE, 3]) * 2).to(dtype)
    losses, norms = [], []
    for step in range(STEPS):
        optim.zero_grad()
        total = step_gradients(images, step, case["parts"], state)
        largest = case["clip_norm"] or float("inf")
        norms.append(torch.nn.utils.clip_grad_norm_(trained.values(), largest).item())
        optim.step()
        losses.append(total)
    kept = {
        f"{name}.{slot}": value
        for name, tensor in trained.items()
        for slot, value in optim.state[tensor].items()
        if torch.is_tensor(value) and value.shape == tensor.shape
    }
    return {"losses": losses, "norms": norms, "before": before, "weights": {n: t.detach() for n, t in trained.items()}, "state": kept}


def apart(a, b, names, origin=None):
    """The largest distance of two tensors of one name, relative to how far b's is from its origin: zero, where none is given."""
    return max((((a[n].double() - b[n]).norm() / (b[n] - (origin[n] if origin else 0)).norm()).item() for n in names), default=0)


def spread(single, double):
    return {
        "losses": max(abs(a - b) / b for a, b in zip(single["losses"], double["losses"])),
        "weights": apart(single["weights"], double["weights"], KEPT, double["before"]),
        "state": apart(single["state"], double["state"], [k for k in double["state"] if k.rsplit(".", 1)[0] in WITH_STATE]),
    }


def checked(name, far):
    """Rounding differs from one processor to the next: --check asks for the committed spread's order of magnitude alone."""
    if "--check" not in sys.argv[1:]:
        return {k: float(f"{v:.1e}") for k, v in far.items()}
    committed = json.loads((fixture.FOLDER / "optimisers.json").read_text())[name]["spread"]
    for k, v in far.items():
        if not v <= 4 * committed[k]:
            sys.exit(f"{name}: float32 is {v} away in {k}, {committed[k]} by the committed file")
    return committed


def digits(tensor, n):
    return [float(f"{v:.{n}g}") for v in tensor.flatten().tolist()]


def entry(name, case):
    double, single = run(case, torch.float64), run(case, torch.float32)
    return case | {
        "losses": [round(v, 7) for v in double["losses"]],
        "norms": [round(v, 4) for v in double["norms"]],
        "weights": {n: digits(double["weights"][n], 8) for n in KEPT},
        "state": {k: digits(v, 6) for k, v in double["state"].items() if k.rsplit(".", 1)[0] in WITH_STATE},
        "spread": checked(name, spread(single, double)),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    fixture.finish("optimisers.json", {name: entry(name, case) for name, case in CASES.items()})
