"""What is kept of gradients too large to commit, and how far two of them are apart. The same in TypeScript: tests/unit/support/sketch.ts.

Each value of a gradient has a sign and one of 256 buckets, from murmur3's finaliser (Appleby) of FNV-1a of the tensor's name plus the
value's index. Sums of signed values:
- by bucket, over all tensors (a count sketch): the distance of two sketches is the distance of the two gradients, over all of their
  values together, to about 5 %: its square has the right mean and a relative deviation of sqrt(2 / 256);
- over one tensor, its projection on a vector of ±1: about as large as the tensor's norm, and off by about as much as the tensor is.
"""

import numpy as np

import formula

BUCKETS = 256


def hashes(name, count):
    h = np.arange(count, dtype=np.uint32) + np.uint32(formula.fnv1a(name))
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h


def signed(name, values):
    """values: float64, flat. Returns them with their signs, and their buckets."""
    h = hashes(name, values.size)
    return np.where(h >> np.uint32(31), values, -values), h % np.uint32(BUCKETS)


def projection(name, values):
    return float(signed(name, values)[0].sum())


def sketch(tensors):
    """tensors: name → float64 array. Sketch of all of them, and of each its norm and projection."""
    total = np.zeros(BUCKETS)
    each = {}
    for name, values in tensors.items():
        flat, buckets = signed(name, values.reshape(-1))
        total += np.bincount(buckets, flat, BUCKETS)
        each[name] = (float(np.sqrt((flat * flat).sum())), float(flat.sum()))
    return total, each
