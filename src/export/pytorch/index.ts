import { zipFolder } from '../folderZip.ts';
import { describe } from '../metadata.ts';
import { pythonNetwork } from '../python/network.ts';
import { exportSafetensors } from '../safetensors/index.ts';
import type { ExportedBytes, ExportFormat, ExportInput } from '../types.ts';

/** The weights as they were trained, and a script that makes torchvision's network of them and shows it an image. */
export async function exportPytorch(input: ExportInput): Promise<ExportedBytes> {
  const { fileName, bytes } = await exportSafetensors(input);
  const folder = `${input.name}.pytorch`;
  const files = new Map<string, Uint8Array | string>([
    ['README.txt', readme(input)],
    ['load_model.py', script(input)],
    ['requirements.txt', requirements],
    [fileName, bytes],
  ]);
  return { fileName: `${folder}.zip`, bytes: await zipFolder(folder, files) };
}

const requirements = `torch==2.10.0
torchvision==0.25.0
safetensors==0.8.0
numpy==1.26.4
pillow==12.0.0
`;

function script(input: ExportInput): string {
  const { imports, code } = pythonNetwork(input);
  return `"""python load_model.py IMAGE: the probability of each class, the likeliest first. Not a medical device."""
import json
import sys
${imports}

import numpy as np
import torch
import torchvision
from PIL import Image, ImageOps
from safetensors import safe_open
from torch import nn
from torchvision import transforms
${code}

def pixels(path, about):
    """What the network was shown in training and testing: upright, RGB, of 16 bits the upper 8, resized and cropped by PIL."""
    image = Image.open(path)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
    image, size = ImageOps.exif_transpose(image).convert("RGB"), int(about["image_size"])
    crop = [transforms.Resize(size), transforms.CenterCrop(size)]
    return transforms.Compose([transforms.Resize((size, size))] if about["geometry"] == "squash" else crop)(image)


def predict(network, about, image):
    """Probabilities, in the order of the classes."""
    mean, std = json.loads(about["mean"]), json.loads(about["std"])
    batch = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])(image)[None]
    with torch.no_grad():
        return torch.softmax(network(batch)[0] / float(about["temperature"]), 0)


if __name__ == "__main__":
    network, about = load()
    found = predict(network, about, pixels(sys.argv[1], about)).tolist()
    for probability, label in sorted(zip(found, json.loads(about["classes"])), reverse=True):
        print(f"{probability:.7f}  {label}")
`;
}

function readme(input: ExportInput): string {
  const { name, metadata, imageSize, graph } = input;
  return `${name} ${metadata.version}, for PyTorch
${describe(input)}

${name}.safetensors   the trained weights of ${graph.architecture}, float32, under ${graph.architecture === 'tiny' ? 'the names in load_model.py' : "torchvision's names"}; classes, image size
                      (${imageSize}), mean, std, geometry (${metadata.geometry}), eps of the batch norms and temperature are in its metadata
load_model.py         loads them and prints the probabilities of an image
requirements.txt      what it needs

    python -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python load_model.py IMAGE

The network gives logits; softmax(logits / temperature) gives the probabilities that the page shows. The script is tested with PyTorch 1.13; the
versions in requirements.txt are later ones, in which these networks are the same, for Python 3.10 to 3.12.
`;
}

export const pytorch: ExportFormat = {
  id: 'pytorch',
  label: 'PyTorch',
  summary: 'For Python: the weights, and a script that loads them into torchvision’s network and shows it an image.',
  extension: '.pytorch.zip',
  mediaType: 'application/zip',
  precisions: ['float32'],
  write: exportPytorch,
};
