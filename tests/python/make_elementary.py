"""Writes tests/fixtures/elementary.json: exp, log, sin, cos and tan to 17 digits, by Python's decimal arithmetic with 40.

python3 tests/python/make_elementary.py
"""

from decimal import Decimal, getcontext

from fixture import finish
from formula import uniform

getcontext().prec = 50


def series(first, ratio):
    """first · (1 + ratio(1) + ratio(1) ratio(2) + …)"""
    term, total, n = first, first, 0
    while term == term and abs(term) > Decimal(10) ** -45:
        n += 1
        term *= ratio(n)
        total += term
    return total


def sin(x):
    return series(x, lambda n: -x * x / (2 * n * (2 * n + 1)))


def cos(x):
    return series(Decimal(1), lambda n: -x * x / ((2 * n - 1) * 2 * n))


FUNCTIONS = {
    "exp": (lambda u: 60 * u - 50, lambda x: x.exp()),
    "log": (lambda u: 4 * u + 1e-3, lambda x: x.ln()),
    "sin": (lambda u: 12 * u - 6, sin),
    "cos": (lambda u: 12 * u - 6, cos),
    "tan": (lambda u: 3 * u - 1.5, lambda x: sin(x) / cos(x)),
}


def main():
    out = {}
    for name, (place, function) in FUNCTIONS.items():
        xs = [float(place(u)) for u in uniform(f"elementary {name}", 60)]
        if name == "log":
            xs += [1.0, 1 + 2.0**-40, 1 - 2.0**-40, 2.0**-1060, 1e300]
        elif name == "exp":
            xs += [0.0, 1e-300, 709.5, -708.5]
        else:
            xs += [0.0, 1e-300]
        # As text: a 17-digit number is one double, and nothing is rounded on the way.
        out[name] = {"x": [repr(x) for x in xs], "y": [repr(float(function(Decimal(x)))) for x in xs]}
    finish("elementary.json", out)


if __name__ == "__main__":
    main()
