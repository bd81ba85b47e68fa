import { zipFolder } from '../folderZip.ts';
import { describe, metadataPairs } from '../metadata.ts';
import { pythonNetwork } from '../python/network.ts';
import { exportSafetensors } from '../safetensors/index.ts';
import type { ExportedBytes, ExportFormat, ExportInput } from '../types.ts';

/** A folder from which Apple's own converter, coremltools, makes the Core ML package anew: the weights, and a script that runs it. */
export async function exportCoremltoolsKit(input: ExportInput): Promise<ExportedBytes> {
  const { name, labels, precision, metadata } = input;
  const { fileName, bytes } = await exportSafetensors(input);
  const config = {
    name,
    precision,
    author: metadata.author,
    description: describe(input),
    version: metadata.version,
    metadata: metadataPairs(input),
  };
  const folder = `${name}.coremltools`;
  const files = new Map<string, Uint8Array | string>([
    ['README.txt', readme(input)],
    ['config.json', `${JSON.stringify(config, null, 2)}\n`],
    ['convert.py', script(input)],
    ['labels.json', `${JSON.stringify(labels, null, 2)}\n`],
    ['requirements.txt', requirements],
    [fileName, bytes],
  ]);
  return { fileName: `${folder}.zip`, bytes: await zipFolder(folder, files) };
}

const requirements = `coremltools==9.0
torch==2.10.0
torchvision==0.25.0
safetensors==0.8.0
numpy==1.26.4
`;

/**
 * In float16 the softmax and the division of the preprocessing stay float32, as in the package that is written without Python: by a converter's
 * own pass, to which an operator selector says what it may narrow.
 */
function script(input: ExportInput): string {
  const { imports, code } = pythonNetwork(input);
  return `"""python convert.py [FOLDER]: makes ${input.name}.mlpackage there (default: here) with Apple's converter. Not a medical device."""
import json
import sys
${imports}

import coremltools as ct
import torch
import torchvision
from safetensors import safe_open
from torch import nn
${code}

class Whole(nn.Module):
    """RGB pixels 0-255 to probabilities."""

    def __init__(self, network, about):
        super().__init__()
        self.network, self.temperature = network, float(about["temperature"])
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(json.loads(about[name])).view(1, 3, 1, 1))

    def forward(self, image):
        logits = self.network((image / 255 - self.mean) / self.std)
        return torch.softmax(logits / self.temperature, 1)


def beside(name):
    return json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


if __name__ == "__main__":
    network, about = load()
    config, labels, size = beside("config.json"), beside("labels.json"), int(about["image_size"])
    half = ct.transform.FP16ComputePrecision(op_selector=lambda op: op.op_type not in ("softmax", "sub", "real_div"))
    model = ct.convert(
        torch.jit.trace(Whole(network, about).eval(), torch.rand(1, 3, size, size) * 255),
        inputs=[ct.ImageType(name="image", shape=(1, 3, size, size), color_layout=ct.colorlayout.RGB)],
        classifier_config=ct.ClassifierConfig(labels),
        minimum_deployment_target=ct.target.iOS15,
        compute_precision=half if config["precision"] == "float16" else ct.precision.FLOAT32,
        skip_model_load=True,
    )
    model.author, model.short_description, model.version = config["author"], config["description"], config["version"]
    model.user_defined_metadata.update(config["metadata"])
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / f"{config['name']}.mlpackage"
    model.save(str(path))
    print(path)
`;
}

function readme(input: ExportInput): string {
  const { name, metadata, precision } = input;
  return `${name} ${metadata.version}: the Core ML package, made with Apple's own converter
${describe(input)}

${name}.safetensors   the trained weights, float32
convert.py            builds the network in PyTorch, puts preprocessing, temperature and softmax around it, and converts it (${precision})
labels.json           the classes, in the order of the outputs
config.json           precision, and what the package says of itself
requirements.txt      what convert.py needs; Python 3.10 to 3.12, on a Mac or on Linux

    python -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python convert.py

The result, ${name}.mlpackage, has the input "image" (RGB) and the outputs "classLabel" and "classLabel_probs" of the package that PacerID Studio
writes by itself. Its numbers are tested to be the same; use whichever you trust more. The script is tested with PyTorch 1.13; requirements.txt names
a later one, with which coremltools 9.0 is known to work.
`;
}

export const coremltoolsKit: ExportFormat = {
  id: 'coremltools_kit',
  label: 'coremltools kit',
  summary:
    'For those who want Apple’s own converter: the weights, and a script that makes the Core ML package with coremltools.',
  extension: '.coremltools.zip',
  mediaType: 'application/zip',
  precisions: ['float16', 'float32'],
  write: exportCoremltoolsKit,
};
