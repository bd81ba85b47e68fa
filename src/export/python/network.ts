import { UserError } from '../../errors.ts';
import type { ExportInput } from '../types.ts';

/** There is no PyTorch module for the network. */
class NoPythonNetworkError extends UserError {
  constructor(architecture: string) {
    super(`The network ${architecture} is none of torchvision’s, and no Python source of it is known here.`, {
      kept: 'The trained model is untouched.',
      remedy: 'Export as safetensors, Core ML, ONNX or TensorFlow.js.',
    });
  }
}

/** Functions of torchvision.models that make the networks of the same names. */
const torchvisions: readonly string[] = ['densenet121', 'resnet50', 'mobilenet_v3_small'];

/** The same layers as src/architectures/tiny, with the same names. */
const tiny = `

def tiny(num_classes):
    """PacerID Studio's own small network."""
    layers, channels = OrderedDict(), 3
    for index, (out, kernel, stride) in enumerate([(16, 3, 2), (32, 3, 2), (32, 3, 1), (64, 3, 2), (64, 3, 1), (128, 1, 1)]):
        conv = nn.Conv2d(channels, out, kernel, stride, padding=kernel // 2, bias=False)
        layers[str(index)] = nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(out), relu=nn.ReLU()))
        channels = out
    head = OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), classifier=nn.Linear(channels, num_classes))
    return nn.Sequential(OrderedDict(features=nn.Sequential(layers), **head))
`;

/**
 * Python that makes the network and loads its weights from the safetensors file beside the script: imports of torch and safetensors, and a
 * function `load()`. The same text in every script, so that what one judge runs holds for all. Throws `NoPythonNetworkError`.
 */
export function pythonNetwork({ graph, name }: ExportInput): { readonly imports: string; readonly code: string } {
  const { architecture } = graph;
  const own = architecture === 'tiny';
  if (!own && !torchvisions.includes(architecture)) throw new NoPythonNetworkError(architecture);
  return {
    imports: [...(own ? ['from collections import OrderedDict'] : []), 'from pathlib import Path'].join('\n'),
    code: `${own ? tiny : ''}

def load():
    """The trained network, of normalised images to logits, and what its file says of it."""
    with safe_open(str(Path(__file__).with_name("${name}.safetensors")), "pt") as file:
        about, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    network = ${own ? 'tiny' : `torchvision.models.${architecture}`}(num_classes=len(json.loads(about["classes"])))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = float(about["batch_norm_eps"])
    missing, unexpected = network.load_state_dict(weights, strict=False)
    wrong = unexpected + [name for name in missing if not name.endswith("num_batches_tracked")]
    if wrong:
        sys.exit(f"The weights don't fit the network: {wrong}")
    return network.eval(), about
`,
  };
}
