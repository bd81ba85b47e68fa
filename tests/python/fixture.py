"""Writes a fixture, or with --check compares what it would write with the committed file: exit 1 where they differ by more than 1e-6."""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "fixtures"
TOLERANCE = 1e-6


def difference(a, b, tolerance, where=""):
    """The first place where two JSON values differ by more than tolerance (relative above 1), or None."""
    if isinstance(a, bool) or isinstance(b, bool) or isinstance(a, str) or a is None:
        return None if a == b else f"{where}: {a!r} is not {b!r}"
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return None if abs(a - b) <= tolerance * max(1, abs(b)) else f"{where}: {a!r} is not {b!r}"
    if type(a) is not type(b) or len(a) != len(b):
        return f"{where}: another type or length"
    if isinstance(a, dict):
        if list(a) != list(b):
            return f"{where}: other keys"
        pairs = [(a[key], b[key], f"{where}.{key}") for key in a]
    else:
        pairs = [(x, y, f"{where}[{i}]") for i, (x, y) in enumerate(zip(a, b))]
    return next((found for found in (difference(x, y, tolerance, at) for x, y, at in pairs) if found), None)


def finish(name, value, tolerance=TOLERANCE):
    path = FOLDER / name
    if "--check" in sys.argv[1:]:
        value = json.loads(json.dumps(value))
        # Through JSON and back: tuples are lists there.
        found = difference(json.loads(json.dumps(value)), json.loads(path.read_text()), tolerance, name)
        if found:
            sys.exit(f"{found} (regenerated, committed)")
        print(f"{name}: as committed")
        return
    # A line for every entry of the two outer levels: small, and a diff that can be read.
    inner = lambda v: json.dumps(v, separators=(",", ":"))
    lines = [
        f"{json.dumps(key)}:{{\n" + ",\n".join(f"{json.dumps(k)}:{inner(v)}" for k, v in entry.items()) + "\n}"
        for key, entry in value.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{name}: {path.stat().st_size} bytes")
