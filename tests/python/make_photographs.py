"""tests/fixtures/photographs: small pieces of two photographs that scikit-learn hands out, as users' files come (its README says whose they are).

    python3 tests/python/make_photographs.py FOLDER     with china.jpg and flower.jpg: sklearn/datasets/images in the wheel of scikit-learn

Encoders differ between Pillow's versions, so it isn't run again; make_preprocessing.py reads what it made.
"""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "photographs"


def piece(photograph, box, size):
    return photograph.crop(box).resize(size, Image.LANCZOS)


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def grey16(photograph, box, width, height):
    """Brightness as means over rectangles: values between those of 8 bits, as a detector gives them."""
    rgb = np.asarray(photograph.crop(box), np.float64)
    step = (rgb.shape[0] // height, rgb.shape[1] // width)
    rgb = rgb[: height * step[0], : width * step[1]].reshape(height, step[0], width, step[1], 3).mean((1, 3))
    grey = rgb @ [0.299, 0.587, 0.114]
    return np.round((grey - grey.min()) / (grey.max() - grey.min()) * 65535).astype(">u2")


def png16(samples):
    """[height, width] big-endian; each row as differences to the row above (filter 2), which compress better."""
    bytes_ = samples.view(np.uint8)
    above = np.vstack([np.zeros_like(bytes_[:1]), bytes_[:-1]])
    rows = b"".join(b"\2" + row.tobytes() for row in bytes_ - above)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def main():
    folder = Path(sys.argv[1])
    china, flower = (Image.open(folder / name).convert("RGB") for name in ("china.jpg", "flower.jpg"))
    OUT.mkdir(exist_ok=True)
    # The pixels alone: profiles and cameras' notes would be most of a small file.
    piece(china, (40, 20, 522, 366), (241, 173)).save(OUT / "pagoda.jpg", quality=85, subsampling=2)
    piece(flower, (170, 70, 576, 372), (203, 151)).save(
        OUT / "dahlia turned.jpg", quality=85, subsampling=1, exif=turned(6)
    )
    piece(china, (0, 180, 640, 292), (347, 61)).save(OUT / "shore elongated.jpg", quality=85, subsampling=2)
    piece(flower, (230, 120, 394, 332), (41, 53)).save(OUT / "petals small.jpg", quality=92, subsampling=0)
    piece(china, (60, 30, 358, 253), (149, 111)).convert("L").save(OUT / "pagoda grey.jpg", quality=85)
    piece(flower, (190, 80, 426, 284), (73, 61)).save(OUT / "dahlia.png", optimize=True)
    (OUT / "roofs 16 bit grey.png").write_bytes(png16(grey16(china, (60, 30, 371, 244), 79, 61)))
    for path in sorted(OUT.iterdir()):
        print(path.name, path.stat().st_size)


main()
