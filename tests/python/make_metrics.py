"""Writes tests/fixtures/metrics.json: scikit-learn's and scipy's figures for random logits.

Run with scikit-learn 1.3 or newer: python tests/python/make_metrics.py
"""
import numpy
from fixture import finish
from scipy.special import softmax
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_score, recall_score

CLASSES = 5


def main():
    rng = numpy.random.default_rng(11)
    # Class 4 is never the truth, class 3 never predicted: both corners of the macro averages.
    truth = rng.integers(0, 4, 40)
    logits = rng.normal(size=(40, CLASSES)) * 2
    logits[numpy.arange(40), truth] += 1.5
    logits[:, 3] -= 20
    logits = logits.astype(numpy.float32)
    predicted = logits.argmax(1)
    labels = list(range(CLASSES))
    probabilities = softmax(logits.astype(numpy.float64), axis=1)
    right = int((predicted == truth).sum())
    intervals = {}
    for k, n in [(right, 40), (0, 12), (12, 12), (217, 225)]:
        interval = binomtest(k, n).proportion_ci(0.95, method="wilson")
        intervals[f"{k} of {n}"] = {"right": k, "n": n, "low": interval.low, "high": interval.high}
    present = sorted(set(truth.tolist()))
    fixture = {
        "classes": CLASSES,
        "logits": [float(value) for value in logits.ravel()],
        "truth": truth.tolist(),
        "loss": float(log_loss(truth, probabilities, labels=labels)),
        "accuracy": float(accuracy_score(truth, predicted)),
        "precision": float(
            precision_score(truth, predicted, labels=labels, average="macro", zero_division=numpy.nan)
        ),
        "recall": float(recall_score(truth, predicted, labels=present, average="macro")),
        "confusion": confusion_matrix(truth, predicted, labels=labels).tolist(),
        "probabilities": [float(value) for value in probabilities.ravel()],
    }
    finish("metrics.json", {"report": fixture, "wilson": intervals})


if __name__ == "__main__":
    main()
