"""Networks that no training made and that still say something: torchvision's random initialisation of seed 0 (`tiny`: ours), batch-norm
statistics set by one pass over noise, the head scaled so that the probabilities are spread. With preprocessing and softmax around them,
they are what our exports are: RGB 0–255, [N, 3, size, size], to probabilities. And images for them."""

import numpy as np
import torch
import torchvision
from safetensors.torch import load_file

from make_training import Tiny


class WithPreprocessing(torch.nn.Module):
    def __init__(self, network, temperature=1.0):
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def logits(self, x):
        return self.network((x / 255 - self.mean) / self.std)

    def forward(self, x):
        logits = self.logits(x)
        # Traced for a converter, a division by one would be an operation.
        return torch.softmax(logits if self.temperature == 1 else logits / self.temperature, 1)


def spread_net(architecture, classes, size, temperature=1.0, weights=None):
    """`weights`: a safetensors file of torchvision's names in place of the initialisation; its head is kept where it is ImageNet's."""
    torch.manual_seed(0)
    if architecture == "tiny":
        network = Tiny(classes)
    else:
        network = getattr(torchvision.models, architecture)(weights=None, num_classes=classes)
    model = WithPreprocessing(network, temperature)
    with torch.no_grad():
        if weights:
            tensors, own = load_file(weights), network.state_dict()
            network.load_state_dict({key: t for key, t in tensors.items() if t.shape == own[key].shape}, strict=False)
        else:
            network.train()
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = 1.0
            network(torch.randn(16, 3, size, size))
        model.eval()
        if not weights or classes != 1000:
            spread = model.logits(as_batch(smooth_images(8, size))).std(1).mean()
            head = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
            head.weight *= 2 / spread
            head.bias *= 0
    return model


def smooth_images(count, size):
    """Coloured blobs and edges, [size, size, 3] uint8 each, so that activations are like a photograph's rather than like static."""
    generator = np.random.default_rng(1)
    images = []
    for _ in range(count):
        coarse = torch.from_numpy(generator.uniform(0, 255, (1, 3, 7, 7)).astype(np.float32))
        smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)[0].numpy()
        noisy = smooth.transpose(1, 2, 0) + generator.normal(0, 12, (size, size, 3))
        images.append(np.clip(np.round(noisy), 0, 255).astype(np.uint8))
    return images


def as_batch(images):
    """[N, 3, size, size] float32, 0–255."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
