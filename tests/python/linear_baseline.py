"""How well does a linear model on pixels do? python linear_baseline.py SAMPLE.zip [LIMIT]

Reads Train/<class>/* and Test/<class>/* from a zip, scales to 64 x 64 grey pixels, and fits scikit-learn's logistic
regression with several regularisations, on standardised pixels and on principal components. Prints the best accuracy on
Test (chosen on Test, so it flatters the linear model) and fails if it reaches LIMIT.
"""
import io
import sys
import warnings
import zipfile

import numpy as np
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def read(archive, split):
    pixels, labels = [], []
    for name in sorted(archive.namelist()):
        parts = name.split("/")
        if split in parts and not name.endswith("/"):
            image = Image.open(io.BytesIO(archive.read(name))).convert("L")
            pixels.append(np.asarray(image.resize((64, 64), Image.BILINEAR), np.float32).ravel() / 255)
            labels.append(parts[-2])
    return np.stack(pixels), np.array(labels)


def main():
    warnings.filterwarnings("ignore")
    limit = float(sys.argv[2]) if len(sys.argv) > 2 else 0.6
    with zipfile.ZipFile(sys.argv[1]) as archive:
        x_train, y_train = read(archive, "Train")
        x_test, y_test = read(archive, "Test")
    best = 0.0
    for strength in (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0):
        for components in (None, 50):
            steps = [StandardScaler()] + ([PCA(components, random_state=0)] if components else [])
            model = make_pipeline(*steps, LogisticRegression(C=strength, max_iter=300))
            accuracy = model.fit(x_train, y_train).score(x_test, y_test)
            print(f"C={strength:g} components={components or 'all'}: {accuracy:.3f}")
            best = max(best, accuracy)
    print(f"train {len(y_train)} test {len(y_test)} classes {len(set(y_train))} best {best:.3f} limit {limit}")
    sys.exit(best >= limit)


main()
