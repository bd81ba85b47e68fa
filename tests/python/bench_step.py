"""PyTorch's side of `npm run bench -- wasm`: for every line of standard input one training step, whose milliseconds are
printed, and those of processor time: `[12.3, 20.1]`.

python3 tests/python/bench_step.py --network mobilenet_v3_small|densenet121|resnet50 --batch 8 [--size 224] [--threads 2] [--device cpu|cuda]
torch and torchvision on the CPU (Debian's python3-torch, python3-torchvision): float32, train mode, Adam, random weights and images. On
CUDA: eager, TF32 off, images there already.
Both memory layouts are tried first, and the faster one is taken; the first line printed says which: `{"torch": "1.13", "layout": "…"}`.
"""
import argparse
import json
import statistics
import sys
import time

import torch
import torchvision

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def steps(name, batch, size, layout, device):
    """A function that makes one step and returns its milliseconds and its processor time."""
    torch.manual_seed(1)
    network = getattr(torchvision.models, name)(num_classes=5).to(device=device, memory_format=LAYOUTS[layout]).train()
    images = torch.randn(batch, 3, size, size).to(device=device, memory_format=LAYOUTS[layout])
    labels = (torch.arange(batch) % 5).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step():
        begun, busy = time.perf_counter(), time.process_time()
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimiser.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return [1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - busy)]

    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    tried = {layout: steps(given.network, given.batch, given.size, layout, given.device) for layout in LAYOUTS}
    times = {layout: statistics.median([step()[0] for _ in range(4)][1:]) for layout, step in tried.items()}
    layout = min(times, key=times.get)
    print(json.dumps({"torch": torch.__version__, "layout": layout}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(tried[layout]()), flush=True)


main()
