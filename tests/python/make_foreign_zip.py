"""tests/fixtures/foreign.zip and foreign.json: an archive by Python's zipfile of images by Pillow, and Pillow's pixels of them.

The pixels are those of `ImageOps.exif_transpose(image).convert("RGB")`, alpha dropped, 16-bit samples cut to their upper byte.
--check decodes the committed archive again: encoders differ between Pillow's versions, decoders must not.
"""
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

FOLDER = Path(__file__).resolve().parent.parent / "fixtures"
PREFIX = "Schrittmacher ä/größe 日本"
W, H = 21, 16
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([x * 12, y * 15, (x + y) * 6], -1).astype(np.uint8)
alpha = np.dstack([rgb, ((x * 37 + y * 11) % 256).astype(np.uint8)])


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def swapped_profile():
    """sRGB's profile with the red and green primaries exchanged: whoever applies it changes every colour."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"????", b"gXYZ", 1)


def pixels(data):
    image = Image.open(io.BytesIO(data))
    if image.mode.startswith("I"):
        array = np.repeat((np.asarray(image).astype(np.int64) >> 8)[..., None], 3, 2)
    else:
        array = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    return {"width": array.shape[1], "height": array.shape[0], "pixels": array.ravel().tolist()}


def check():
    """Pillow as installed here against the committed pixels; JPEG decoders may round differently."""
    expected = json.loads((FOLDER / "foreign.json").read_text())
    with zipfile.ZipFile(FOLDER / "foreign.zip") as archive:
        for name, want in expected.items():
            got = pixels(archive.read(f"{PREFIX}/{name}"))
            worst = np.abs(np.subtract(got["pixels"], want["pixels"])).max() if got["width"] == want["width"] else 999
            if worst > (3 if name.endswith(".jpg") else 0):
                sys.exit(f"{name}: differs by {worst}")
    print(f"foreign.zip: {len(expected)} images as committed")


def main():
    colour = Image.fromarray(rgb)
    turned = Image.Exif()
    turned[0x0112] = 6
    files = {
        "A/plain.jpg": saved(colour, "JPEG", quality=95, subsampling=0),
        "A/turned.jpg": saved(colour, "JPEG", quality=95, subsampling=0, exif=turned),
        "A/grey.jpg": saved(colour.convert("L"), "JPEG", quality=95),
        "A/progressive.jpg": saved(colour, "JPEG", quality=95, subsampling=0, progressive=True),
        "A/profile.jpg": saved(colour, "JPEG", quality=95, subsampling=0, icc_profile=swapped_profile()),
        "A/lossless.webp": saved(colour, "WEBP", lossless=True),
        "B/rgb.png": saved(colour, "PNG"),
        "B/alpha.png": saved(Image.fromarray(alpha), "PNG"),
        "B/alpha.webp": saved(Image.fromarray(alpha), "WEBP", lossless=True, exact=True),
        "B/grey.png": saved(colour.convert("L"), "PNG"),
        "B/greyalpha.png": saved(Image.fromarray(alpha).convert("LA"), "PNG"),
        "B/palette.png": saved(colour.quantize(16), "PNG"),
        "B/bits1.png": saved(colour.convert("1"), "PNG"),
        "B/bits16.png": saved(Image.fromarray((x * 3000 + y * 77).astype(np.uint16)), "PNG"),
    }
    expected = {name: pixels(data) for name, data in files.items()}
    with zipfile.ZipFile(FOLDER / "foreign.zip", "w") as archive:
        for i, (name, data) in enumerate(files.items()):
            kind = zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED
            archive.writestr(f"{PREFIX}/{name}", data, kind)
        archive.writestr("Schrittmacher ä/read me.txt", "not an image")
    (FOLDER / "foreign.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


check() if "--check" in sys.argv[1:] else main()
