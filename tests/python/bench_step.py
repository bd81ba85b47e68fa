"""PyTorch's side of `npm run bench -- wasm`: for every line of standard input one training step, whose milliseconds are
printed, and those of processor time: `[12.3, 20.1]`.

python3 tests/python/bench_step.py --network mobilenet_v3_small|densenet121 --batch 8 [--size 224] [--threads 2]
torch and torchvision on the CPU (Debian's python3-torch, python3-torchvision): float32, train mode, Adam, random weights and images.
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


def steps(name, batch, size, layout):
    """A function that makes one step and returns its milliseconds and its processor time."""
    torch.manual_seed(1)
    network = getattr(torchvision.models, name)(num_classes=5).to(memory_format=LAYOUTS[layout]).train()
    images = torch.randn(batch, 3, size, size).to(memory_format=LAYOUTS[layout])
    labels = torch.arange(batch) % 5
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step():
        begun, busy = time.perf_counter(), time.process_time()
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()
        return [1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - busy)]

    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    tried = {layout: steps(given.network, given.batch, given.size, layout) for layout in LAYOUTS}
    times = {layout: statistics.median([step()[0] for _ in range(4)][1:]) for layout, step in tried.items()}
    layout = min(times, key=times.get)
    print(json.dumps({"torch": torch.__version__, "layout": layout}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(tried[layout]()), flush=True)


main()
