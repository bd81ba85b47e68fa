"""tests/fixtures/class_weights.json: scikit-learn's balanced class weights of some counts of images.

Run with scikit-learn; --check compares with the committed file.
"""

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

import fixture

COUNTS = {"alike": [7, 7, 7], "uneven": [1, 90, 9, 333], "two classes": [3, 1], "eleven classes": [12, 40, 8, 25, 100, 31, 3, 55, 60, 17, 2]}

if __name__ == "__main__":
    fixture.finish(
        "class_weights.json",
        {
            name: {"counts": counts, "weights": compute_class_weight("balanced", classes=np.arange(len(counts)), y=np.repeat(np.arange(len(counts)), counts)).tolist()}
            for name, counts in COUNTS.items()
        },
    )
