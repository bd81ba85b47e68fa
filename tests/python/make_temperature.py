"""tests/fixtures/temperature.json: temperatures for logits of known labels, found without derivatives.

Run with numpy; --check compares with the committed file. The loss of each temperature is written out as it is defined (the matrix of
targets times the log of the softmax) and searched by grids, each around the best of the one before: 0.05 to 20, then finer. `fitted` is
the best for targets of (n + 1) / (n + 2) for the label, the rest shared by the others; `kept` is that where it lowers the plain loss,
else 1. `losses`: the plain ones, at 1 and at `fitted`.
"""

import numpy
from fixture import finish

LOW, HIGH = 0.05, 20


def loss(logits, targets, temperature):
    scaled = logits / temperature
    scaled = scaled - scaled.max(1, keepdims=True)
    logs = scaled - numpy.log(numpy.exp(scaled).sum(1, keepdims=True))
    return -(targets * logs).sum(1).mean()


def best(logits, targets):
    low, high = numpy.log(LOW), numpy.log(HIGH)
    for _ in range(14):
        grid = numpy.linspace(low, high, 81)
        at = int(numpy.argmin([loss(logits, targets, numpy.exp(x)) for x in grid]))
        low, high = grid[max(at - 1, 0)], grid[min(at + 1, 80)]
    return float(numpy.exp(grid[at]))


def entry(logits, labels):
    # Multiples of 1/64: float32 holds them.
    logits = numpy.round(numpy.asarray(logits, dtype=numpy.float64) * 64) / 64
    n, classes = logits.shape
    plain = numpy.eye(classes)[labels]
    smooth = numpy.where(plain == 1, (n + 1) / (n + 2), 1 / (n + 2) / (classes - 1))
    fitted = best(logits, smooth)
    before, after = loss(logits, plain, 1), loss(logits, plain, fitted)
    return {
        "classes": classes,
        "labels": [int(label) for label in labels],
        "logits": logits.ravel().tolist(),
        "fitted": fitted,
        "kept": fitted if after < before else 1,
        "losses": [float(before), float(after)],
    }


def noisy(seed, n, classes, separation, scale):
    """Normal logits, the label's lifted by `separation`; all of it times `scale`."""
    rng = numpy.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[numpy.arange(n), labels] += separation
    return entry(logits * scale, labels)


def main():
    few = numpy.random.default_rng(5)
    cases = {
        "too sure": noisy(1, 60, 5, 1.5, 6),
        "not sure enough": noisy(2, 60, 5, 1.5, 0.4),
        "two classes": noisy(3, 40, 2, 1.0, 3),
        "45 classes, few images": noisy(4, 20, 45, 3.0, 2),
        # Every image right by a wide margin: the plain loss has no minimum.
        "all right": entry(few.normal(size=(24, 4)) * 0.5 + 4 * numpy.eye(4)[[i % 4 for i in range(24)]], [i % 4 for i in range(24)]),
        "one label alone": entry(few.normal(size=(12, 3)) + [2, 0, 0], [0] * 12),
        "one image": entry([[0.5, 0, -1]], [0]),
        # As sure as the plain loss wants it: caution alone would go on to a higher one.
        "as it should be": entry([[2.5, 0]] * 24 + [[0, 2.5]] * 2, [0] * 26),
        "always wrong": entry([[3, 0, 0]] * 6, [1] * 6),
        "right, and hardly said": entry([[1 / 64, 0]] * 90, [0] * 90),
    }
    assert cases["always wrong"]["fitted"] == HIGH or abs(cases["always wrong"]["fitted"] - HIGH) < 1e-9
    assert abs(cases["right, and hardly said"]["fitted"] - LOW) < 1e-9
    assert cases["as it should be"]["kept"] == 1 != cases["as it should be"]["fitted"]
    finish("temperature.json", cases)


if __name__ == "__main__":
    main()
