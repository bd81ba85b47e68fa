"""tests/fixtures/decoding.zip: pictures by Pillow in many encodings, on which the page's decoder and Node's are compared.

The picture has smooth parts, hard edges in brightness and in colour, and noise; sides are odd, so that subsampled colour and JPEG blocks end in
mid-air. Folders are classes: jpeg, png, webp. Encoders differ between Pillow's versions, so it isn't made again; what Pillow decodes it
to is in preprocessing.json (make_preprocessing.py).
"""
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "fixtures"
W, H = 77, 59


def picture(seed):
    """uint8 RGB, like a photograph: light falls off, things have edges, the sensor is noisy."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:H, 0:W] / 60.0
    out = np.stack([110 + 90 * np.sin(2 * x + c) * np.cos(1.7 * y - c) + 20 * c for c in range(3)], -1)
    for _ in range(7):
        cx, cy, radius = rng.uniform(0, W / 60), rng.uniform(0, H / 60), rng.uniform(0.06, 0.3)
        inside = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
        out[inside] = 0.3 * out[inside] + 0.7 * rng.uniform(0, 255, 3)
    out[20:24, 10:60] = [250, 20, 30]
    out[24:28, 10:60] = [20, 30, 250]
    out += rng.normal(0, 5, out.shape)
    out[40:, 55:] = rng.integers(0, 256, out[40:, 55:].shape)
    return np.clip(np.round(out), 0, 255).astype(np.uint8)


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png16(samples, colour_type):
    """16 bits a sample, which Pillow writes in grey only. samples: [H, W, channels]."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", W, H, 16, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def files():
    rgb = picture(1)
    colour, other = Image.fromarray(rgb), Image.fromarray(picture(2))
    grey = colour.convert("L")
    y, x = np.mgrid[0:H, 0:W]
    alpha = Image.fromarray(np.dstack([rgb, ((x * 7 + y * 11) % 256).astype(np.uint8)]))
    for subsampling, name in ((0, "444"), (1, "422"), (2, "420")):
        for quality in (50, 75, 95):
            yield f"jpeg/{name} quality {quality}.jpg", saved(colour, "JPEG", quality=quality, subsampling=subsampling)
        yield f"jpeg/{name} progressive.jpg", saved(
            other, "JPEG", quality=80, subsampling=subsampling, progressive=True
        )
    yield "jpeg/411.jpg", saved(colour, "JPEG", quality=80, subsampling="4:1:1")
    yield "jpeg/420 restarts.jpg", saved(other, "JPEG", quality=80, subsampling=2, restart_marker_blocks=4)
    yield "jpeg/420 progressive low.jpg", saved(other, "JPEG", quality=20, subsampling=2, progressive=True)
    for orientation in (2, 3, 5, 6, 8):
        exif = turned(orientation)
        yield f"jpeg/420 turned {orientation}.jpg", saved(colour, "JPEG", quality=85, subsampling=2, exif=exif)
    for quality in (50, 95):
        yield f"jpeg/grey quality {quality}.jpg", saved(grey, "JPEG", quality=quality)
    yield "jpeg/grey progressive.jpg", saved(grey, "JPEG", quality=80, progressive=True)
    yield "jpeg/grey in colour.jpg", saved(grey.convert("RGB"), "JPEG", quality=85, subsampling=2)
    yield "jpeg/rgb.jpg", saved(colour, "JPEG", quality=85, keep_rgb=True)
    yield "jpeg/cmyk.jpg", saved(colour.convert("CMYK"), "JPEG", quality=85)

    yield "png/rgb.png", saved(colour, "PNG")
    yield "png/rgb alpha.png", saved(alpha, "PNG")
    yield "png/grey.png", saved(grey, "PNG")
    yield "png/grey alpha.png", saved(alpha.convert("LA"), "PNG")
    yield "png/palette 256.png", saved(colour.quantize(256), "PNG")
    yield "png/palette 16.png", saved(colour.quantize(16), "PNG", bits=4)
    yield "png/palette transparent.png", saved(colour.quantize(64), "PNG", transparency=3)
    yield "png/1 bit.png", saved(colour.convert("1"), "PNG")
    wide = (rgb.astype(np.uint32) * 257 + (x * 31 + y * 17)[..., None] % 200).clip(0, 65535)
    yield "png/16 bit grey.png", png16(wide[..., :1], 0)
    yield "png/16 bit rgb.png", png16(wide, 2)

    yield "webp/lossless.webp", saved(colour, "WEBP", lossless=True)
    yield "webp/lossless grey.webp", saved(grey, "WEBP", lossless=True)
    yield "webp/lossless alpha.webp", saved(alpha, "WEBP", lossless=True, exact=True)
    for quality in (50, 75, 95):
        yield f"webp/lossy quality {quality}.webp", saved(colour, "WEBP", quality=quality)
    yield "webp/lossy other.webp", saved(other, "WEBP", quality=80, method=6)
    yield "webp/lossy grey.webp", saved(grey, "WEBP", quality=80)
    yield "webp/lossy alpha.webp", saved(alpha, "WEBP", quality=80, alpha_quality=60)
    yield "webp/lossy turned 6.webp", saved(colour, "WEBP", quality=80, exif=turned(6))


def main():
    with zipfile.ZipFile(FOLDER / "decoding.zip", "w") as archive:
        for name, data in files():
            archive.writestr(zipfile.ZipInfo(f"Train/{name}", (1980, 1, 1, 0, 0, 0)), data)


main()
