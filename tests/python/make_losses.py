"""tests/fixtures/losses.json: cross-entropy with label smoothing and class weights, and what `tiny` learns by it.

Run with torch and torchvision 0.14 (Debian 12: python3-torchvision); --check compares with the committed file. Of
torch.nn.functional.cross_entropy(weight=…, label_smoothing=…), reduction mean, in float64:
- rows: loss and gradient of a few rows of logits, by formula;
- steps: losses of steps of `tiny`, network, images and rate as in make_training.py, all layers, on another batch each step; `parts` are
  cut by whoever reads them: batch norms then see a part, and torch's gradient is that of the loss of all logits of the batch;
- head: losses of steps of its head alone, on what the backbone gives in eval mode, with the weights of formula.tensor.
`spread` is how far torch's own float32 is from them: losses relative, gradients relative to the largest.
"""

import json
import sys

import torch
from torch.nn.functional import cross_entropy

import fixture
import formula
from make_training import CLASSES, NETS, RATE, built

# FIRST: of the images; with these, rounding turns no ReLU over in torch's float32 (make_training.py).
STEPS, IMAGES, FIRST, SIZE = 10, 6, 60, NETS["tiny"]["size"]
# None alike, and most of the labels of those that count little.
WEIGHTS = [0.25, 3.0, 1.0, 7.5, 0.125]
LOSSES = {
    "plain": (None, 0.0),
    "smoothing 0.1": (None, 0.1),
    "class weights": (WEIGHTS, 0.0),
    "class weights, smoothing 0.2": (WEIGHTS, 0.2),
}
ROWS = [[0, 3, 1, 4, 2, 0, 0], [1, 1, 1], [2], [3, 0]]
PARTS = {"whole": [IMAGES], "in parts": [4, 2]}


def labels_of(step):
    """Uneven: a class three times, another never; they move on with the step."""
    return (torch.tensor([0, 1, 1, 3, 1, 4]) + step) % CLASSES


def loss_of(logits, labels, case):
    weights, smoothing = LOSSES[case]
    weight = None if weights is None else torch.tensor(weights, dtype=logits.dtype)
    return cross_entropy(logits, labels, weight=weight, label_smoothing=smoothing)


def rows(case, dtype):
    found = []
    for labels in ROWS:
        logits = torch.tensor([[((7 * i + 3 * c * c + 2 * len(labels)) % 11) / 2 - 2.5 for c in range(CLASSES)] for i in range(len(labels))])
        logits = logits.to(dtype).requires_grad_()
        loss = loss_of(logits, torch.tensor(labels), case)
        loss.backward()
        found.append({"labels": labels, "logits": logits.detach().tolist(), "loss": loss.item(), "gradient": logits.grad.tolist()})
    return found


def images_of(step, dtype):
    first = FIRST + step * IMAGES
    images = torch.from_numpy(formula.images(first + IMAGES, SIZE)[first:])
    return images.permute(0, 3, 1, 2).contiguous().to(dtype)


def descend(parameters, dtype, case, logits_of):
    adam = torch.optim.Adam(parameters, RATE)
    losses = []
    for step in range(STEPS):
        adam.zero_grad()
        loss = loss_of(logits_of(step), labels_of(step), case)
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


def steps(case, parts, dtype):
    model = built("tiny", lambda *one: formula.initial("tiny", *one), dtype).train()
    return descend(model.parameters(), dtype, case, lambda step: torch.cat([model(part) for part in images_of(step, dtype).split(parts)]))


def head(case, dtype):
    model = built("tiny", formula.tensor, dtype).eval()
    classifier = model.get_submodule(NETS["tiny"]["head"])
    with torch.no_grad():
        features = [model.features(images_of(step, dtype)).mean((2, 3)) for step in range(STEPS)]
    return descend(classifier.parameters(), dtype, case, lambda step: classifier(features[step]))


def apart(single, double):
    return max(abs(a / b - 1) for a, b in zip(single, double))


def checked(name, far):
    """Rounding differs from one processor to the next: --check asks for the committed spread's order of magnitude alone."""
    if "--check" not in sys.argv[1:]:
        return {k: float(f"{v:.1e}") for k, v in far.items()}
    committed = json.loads((fixture.FOLDER / "losses.json").read_text())[name]["spread"]
    for k, v in far.items():
        if not v <= 4 * committed[k] + 1e-7:
            sys.exit(f"{name}: float32 is {v} away in {k}, {committed[k]} by the committed file")
    return committed


def rounded(value, digits):
    if isinstance(value, list):
        return [rounded(one, digits) for one in value]
    if isinstance(value, dict):
        return {k: rounded(v, digits) for k, v in value.items()}
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def entry(case):
    weights, smoothing = LOSSES[case]
    single, double = ({"rows": rows(case, t)} | {k: steps(case, p, t) for k, p in PARTS.items()} | {"head": head(case, t)} for t in (torch.float32, torch.float64))
    gradients = [torch.tensor(sum((row["gradient"] for row in one["rows"]), [])) for one in (single, double)]
    far = {k: apart(single[k], double[k]) for k in (*PARTS, "head")} | {
        "loss": apart([row["loss"] for row in single["rows"]], [row["loss"] for row in double["rows"]]),
        "gradient": ((gradients[0] - gradients[1]).abs().max() / gradients[1].abs().max()).item(),
    }
    return {"class_weights": weights, "label_smoothing": smoothing, "rate": RATE, "images": IMAGES, "first": FIRST, "size": SIZE} | {
        "labels": [labels_of(step).tolist() for step in range(STEPS)],
        "rows": rounded(double["rows"], 10),
        "parts": PARTS,
        "losses": {k: rounded(double[k], 9) for k in (*PARTS, "head")},
        "spread": checked(case, far),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    fixture.finish("losses.json", {case: entry(case) for case in LOSSES})
