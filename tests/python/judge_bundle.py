"""Reads a bundle with libraries that are not ours: zipfile, Pillow, and tree-sitter's grammar of Swift.

Usage: judge_bundle.py BUNDLE.zip EXPECTED.json

EXPECTED.json: {"files": [paths in the zip], "labels", "option", "format" (whose exported probabilities are looked at), "images":
[{"pixels": [RGB values, row by row], "side", "label", "trained", "exported"}] in golden.json's order}. The Swift files and the Swift in the
README must parse without an error; whether they compile, only a Mac can say.
"""

import io
import json
import re
import sys
import zipfile

import numpy
import tree_sitter
import tree_sitter_swift
from PIL import Image


def wrong_places(node):
    if node.is_error or node.is_missing:
        yield f"line {node.start_point[0] + 1}: {node.text[:60]!r}"
    for child in node.children:
        yield from wrong_places(child)


def parse(name, source, parser):
    wrong = list(wrong_places(parser.parse(source.encode()).root_node))
    assert not wrong, f"{name}: {wrong}"


def main(bundle, expected):
    want = json.loads(open(expected, encoding="utf-8").read())
    zipped = zipfile.ZipFile(bundle)
    assert zipped.testzip() is None
    assert sorted(zipped.namelist()) == sorted(want["files"]), zipped.namelist()
    text = lambda name: zipped.read(name).decode()

    golden = json.loads(text("golden/golden.json"))
    assert golden["labels"] == want["labels"] == text("labels.txt").splitlines()
    assert golden["imageCropAndScaleOption"] == want["option"]
    assert len(golden["images"]) == len(want["images"])
    for said, image in zip(golden["images"], want["images"]):
        picture = Image.open(io.BytesIO(zipped.read("golden/" + said["file"])))
        assert picture.mode == "RGB" and picture.size == (image["side"], image["side"])
        assert numpy.array_equal(numpy.asarray(picture).ravel(), image["pixels"]), said["file"]
        assert said["label"] == image["label"]
        # As float32 nothing is lost.
        for found, numbers in [(said["trained"], image["trained"]), (said["exported"][want["format"]], image["exported"])]:
            assert numpy.array_equal(numpy.float32(found), numpy.float32(numbers)), said["file"]

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
    for name in ["check.swift", "Tests/ModelParityTests.swift"]:
        assert "cannot run on Linux" in text(name).splitlines()[0]
        parse(name, text(name), parser)
    examples = re.findall(r"```swift\n(.*?)```", text("README.md"), re.DOTALL)
    assert len(examples) == 1
    parse("README.md", examples[0], parser)
    # What does not parse is seen: the parser goes on after an error and would tell nobody.
    assert list(wrong_places(parser.parse(b"func f( { let = }").root_node))
    print(f"{len(zipped.namelist())} files, {len(golden['images'])} images, Swift parses")


if __name__ == "__main__":
    main(*sys.argv[1:])
