"""Writes tests/fixtures/pytorch: files as torch.save and pytorch-ignite leave them, and the values that they hold.

A network of a few hundred numbers, by formula, stands for a real one. Run with Debian's torch 1.13 and pytorch-ignite 0.5.0.post2
(a later one wants a later torch), or with torch alone: then Ignite's files stay as they are. --check writes into a scratch folder
and compares what the files hold, as the bytes of a zip are not the same twice.
"""

import collections
import json
import math
import sys
import tempfile
import warnings
from pathlib import Path

import torch

import formula

try:
    import ignite
    from ignite.engine import Engine, Events
    from ignite.handlers import Checkpoint, DiskSaver, ModelCheckpoint
except ImportError:
    ignite = None

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "pytorch"
CLASSES = 3


def network():
    net = torch.nn.Sequential(
        collections.OrderedDict(
            conv=torch.nn.Conv2d(3, 4, 3, bias=False),
            norm=torch.nn.BatchNorm2d(4),
            classifier=torch.nn.Linear(4, CLASSES),
        )
    )
    return formula.fill(net)


def trained():
    """A network after a step of Adam, with its optimiser: both have state."""
    net = network()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    net.norm(net.conv(torch.from_numpy(formula.images(2, 8)).permute(0, 3, 1, 2))).sum().backward()
    optimiser.step()
    return net, optimiser


def types():
    """Every type that is read, and views: transposed, a part, two on one storage, one whose values lie apart, a scalar."""
    base = torch.from_numpy(formula.tensor("views.weight", (6, 4)))
    return collections.OrderedDict(
        float32=base.clone(),
        float64=base.double(),
        float16=base.half(),
        bfloat16=base.bfloat16(),
        int64=torch.tensor([0, -1, 123456]),
        transposed=base.t(),
        part=base[2:4, 1:3],
        apart=base[::2, ::3],
        row=base[5],
        scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 3),
        parameter=torch.nn.Parameter(base[0].clone()),
    )


def tiny():
    """A state_dict of our architecture tiny. All kernels lie on one storage of halves, so that the file is small; row r of the head is all (r + 1) / 16."""
    shapes = [(16, 3, 3, 3), (32, 16, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3), (64, 64, 3, 3), (128, 64, 1, 1)]
    storage = torch.from_numpy(formula.tensor("tiny.weight", (max(map(math.prod, shapes)),))).half()
    state = collections.OrderedDict()
    for index, shape in enumerate(shapes):
        state[f"features.{index}.conv.weight"] = storage[: math.prod(shape)].view(shape)
        for name in ("weight", "bias", "running_mean", "running_var"):
            key = f"features.{index}.norm.{name}"
            state[key] = torch.from_numpy(formula.tensor(key, shape[:1]))
        state[f"features.{index}.norm.num_batches_tracked"] = torch.tensor(7)
    rows = torch.arange(1, CLASSES + 1) / 16
    state["classifier.weight"] = rows.repeat_interleave(128).view(CLASSES, 128)
    state["classifier.bias"] = -rows
    return state


class Unknown:
    """Pickled as the call of a function that only this script has; reading it must not run anything."""

    def __reduce__(self):
        return (print, ("this must never be printed",))


def write(folder):
    net, optimiser = trained()
    state = net.state_dict()
    save = lambda name, value, **options: torch.save(value, folder / name, **options)
    save("state_dict.pt", state)
    save("legacy.pt", state, _use_new_zipfile_serialization=False)
    save("types.pt", types())
    save("types_legacy.pt", types(), _use_new_zipfile_serialization=False)
    save("types_protocol4.pt", types(), pickle_protocol=4)
    save("nested.pt", {"epoch": 3, "state_dict": {f"module.model.{k}": v for k, v in state.items()}, "args": Unknown()})
    save("whole_module.pt", net)
    save("code_in_tensor.pt", {**state, "conv.weight": Unknown()})
    save("int32.pt", {**state, "conv.weight": torch.zeros(4, 3, 3, 3, dtype=torch.int32)})
    save("tiny.pt", {"epoch": 3, "model": tiny()})
    save("no_weights.pt", {"epoch": 3, "note": "nothing here"})
    if ignite is None:
        return
    trainer = Engine(lambda engine, batch: None)
    trainer.state.metrics = {}
    objects = {"model": net, "optimizer": optimiser, "trainer": trainer}
    saver = DiskSaver(str(folder), create_dir=False, require_empty=False, atomic=False)
    trainer.add_event_handler(Events.COMPLETED, Checkpoint(objects, saver, filename_pattern="ignite_checkpoint.pt"))
    # One object alone: Ignite saves its state_dict without a dictionary around it, here as ignite_model_4.pt.
    alone = ModelCheckpoint(str(folder), "ignite", create_dir=False, require_empty=False)
    trainer.add_event_handler(Events.COMPLETED, alone, {"model": net})
    trainer.run([0, 1], max_epochs=2)


def values(value):
    """A state_dict as JSON: shapes and float32 values."""
    if isinstance(value, torch.Tensor):
        return {"shape": list(value.shape), "values": value.detach().float().flatten().tolist()}
    if isinstance(value, dict):
        return {str(key): values(entry) for key, entry in value.items()}
    return None


def contents(path):
    """What a file holds, told by torch."""
    if path.name in ("whole_module.pt", "nested.pt", "code_in_tensor.pt"):
        # Only torch's own pickles are looked at: the calls in these are not made.
        return [entry for entry in names_in(path)]
    return values(torch.load(path))


def names_in(path):
    import pickletools
    import zipfile

    archive = zipfile.ZipFile(path)
    pickle = next(name for name in archive.namelist() if name.endswith("data.pkl"))
    return [
        (opcode.name, str(argument))
        for opcode, argument, _ in pickletools.genops(archive.read(pickle))
        if not opcode.name.endswith(("PUT", "GET"))
    ]


def same(a, b):
    """Formula weights are the same to the bit, what Adam made of them nearly so."""
    if isinstance(a, float) or isinstance(b, float):
        return abs(a - b) <= 1e-6 * max(1, abs(b))
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def main():
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) if "--check" in sys.argv[1:] else FOLDER
        made.mkdir(parents=True, exist_ok=True)
        write(made)
        names = sorted(path.name for path in made.glob("*.pt") if ignite or not path.name.startswith("ignite"))
        expected = {
            "state_dict": values(torch.load(made / "state_dict.pt")),
            "types": values(torch.load(made / "types.pt")),
        }
        text = json.dumps(expected, separators=(",", ":")) + "\n"
        if made == FOLDER:
            (FOLDER / "expected.json").write_text(text)
            return print(f"pytorch: {len(names)} files written with torch {torch.__version__}, ignite {ignite and ignite.__version__}")
        different = [name for name in names if not same(contents(made / name), contents(FOLDER / name))]
        if different or not same(json.loads(text), json.loads((FOLDER / "expected.json").read_text())):
            sys.exit(f"pytorch: other contents in {', '.join(different) or 'expected.json'}")
        print(f"pytorch: as committed ({'with' if ignite else 'Ignite is not installed: its files were not made again;'} {len(names)} files)")


main()
