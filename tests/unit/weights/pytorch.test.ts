import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import JSZip from 'jszip';
import { describe, expect, it } from 'vitest';
import { initialHead } from '../../../src/architectures/initialise.ts';
import { graphBuilder } from '../../../src/graph/builder.ts';
import type { Graph, Weights } from '../../../src/graph/types.ts';
import { weightStore } from '../../../src/platform/node/weightStore.ts';
import { random } from '../../../src/random.ts';
import { PyTorchFileError } from '../../../src/weights/errors.ts';
import { importWeights, readImported } from '../../../src/weights/imported.ts';
import { matchWeights } from '../../../src/weights/match.ts';
import { isPyTorchFile } from '../../../src/weights/pytorch/container.ts';
import { readPyTorchFile } from '../../../src/weights/pytorch/readPyTorch.ts';
import { unpickle, type Makers } from '../../../src/weights/pytorch/unpickle.ts';
import { readWeightsFile } from '../../../src/weights/readWeights.ts';

const folder = new URL('../../fixtures/pytorch/', import.meta.url);
const fixture = (name: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(new URL(name, folder)));
/** What torch says that the files hold (tests/python/make_pytorch_files.py). */
const expected = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8')) as Record<
  'state_dict' | 'types',
  Record<string, { shape: number[]; values: number[] }>
>;
function expectHolds(weights: Weights, content: keyof typeof expected, prefix = ''): void {
  const wanted = expected[content];
  expect([...weights.keys()]).toEqual(Object.keys(wanted).map((name) => prefix + name));
  for (const [name, { shape, values }] of Object.entries(wanted)) {
    const tensor = weights.get(prefix + name)!;
    expect(tensor.shape, name).toEqual(shape);
    expect([...tensor.data], name).toEqual(values.map(Math.fround));
  }
}

describe('PyTorch’s files', () => {
  it.each(['state_dict.pt', 'legacy.pt', 'ignite_checkpoint.pt', 'ignite_model_4.pt'])(
    '%s: the state_dict, bit for bit',
    (name) => {
      expectHolds(readPyTorchFile(fixture(name)), 'state_dict');
    },
  );

  it.each(['types.pt', 'types_legacy.pt', 'types_protocol4.pt'])(
    '%s: every type, views with strides and offsets, shared storages',
    (name) => {
      expectHolds(readPyTorchFile(fixture(name)), 'types');
    },
  );

  it('finds a state_dict beside other things, whatever these are, and under wrappers’ prefixes', () => {
    const file = readWeightsFile(fixture('nested.pt'));
    expectHolds(file.tensors as Weights, 'state_dict', 'module.model.');
    expect(file).toMatchObject({ labels: null, members: null, architecture: null });
    const graph = smallGraph(3);
    const options = { graph, labels: null, initialHead: initialHead(graph, 0), candidates: [] };
    const { weights } = matchWeights(file, options);
    expect([...weights.get('conv.weight')!.data]).toEqual(expected.state_dict['conv.weight']!.values.map(Math.fround));
  });

  it('are told from safetensors by their first bytes', () => {
    expect(['state_dict.pt', 'legacy.pt'].map((name) => isPyTorchFile(fixture(name)))).toEqual([true, true]);
    // A safetensors header of 0x04034b50 bytes would begin like a zip, but has its brace at byte 8.
    expect(isPyTorchFile(Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0x7b, 0x22))).toBe(false);
  });

  it('are taken as weights to start from; their head gets the labels that the user gives', async () => {
    const cache = weightStore(mkdtempSync(join(tmpdir(), 'pytorch-')));
    const graph = smallGraph(2);
    const network = { graph: null, candidates: [graph], initialHead: (one: Graph) => initialHead(one, 0) };
    const given = { bytes: fixture('ignite_checkpoint.pt'), name: 'checkpoint_30.pt', now: 1 };
    expect((await importWeights(given, network, cache)).warnings.join()).toContain('does not say which labels');
    const record = await importWeights({ ...given, labels: ['a', 'b', 'c'] }, network, cache);
    expect(record).toMatchObject({ classes: 3, labels: ['a', 'b', 'c'], warnings: [] });
    const { file } = await readImported(record.key, 'small', cache);
    const { weights, head } = matchWeights(file, {
      graph,
      labels: ['c', 'new'],
      initialHead: initialHead(graph, 0),
      candidates: [],
    });
    expect(head).toEqual({ kept: ['c'], fresh: ['new'], dropped: ['a', 'b'] });
    const rows = expected.state_dict['classifier.weight']!.values.map(Math.fround);
    expect([...weights.get('classifier.weight')!.data.subarray(0, 4)]).toEqual(rows.slice(8, 12));
  });
});

describe('what is refused, and why', () => {
  it.each([
    ['whole_module.pt', 'a whole Python object (torch.nn.modules.container.Sequential)'],
    ['code_in_tensor.pt', 'to have conv.weight, Python code (__builtin__.print) would have to be run'],
    ['int32.pt', 'conv.weight has values of type int'],
    ['no_weights.pt', 'no state_dict was found in it (it has epoch, note)'],
  ])('%s', (name, reason) => {
    expect(() => readPyTorchFile(fixture(name))).toThrow(PyTorchFileError);
    expect(() => readPyTorchFile(fixture(name))).toThrow(reason);
  });

  it('a zip that is none of torch’s, compressed entries, another byte order', () => {
    expect(() => readPyTorchFile(new Uint8Array(readFileSync(new URL('../foreign.zip', folder))))).toThrow(
      PyTorchFileError,
    );
    const bytes = fixture('legacy.pt');
    const at = Buffer.from(bytes).indexOf('little_endian') + 'little_endian'.length;
    const flag = bytes.indexOf(0x88, at);
    bytes[flag] = 0x89;
    expect(() => readPyTorchFile(bytes)).toThrow('byte order');
  });

  it('the tar of torch’s first versions, and a zip that says it is of the other byte order', async () => {
    // POSIX.1-1988: a name in the first 100 bytes, `ustar` at 257, blocks of 512.
    const tar = new Uint8Array(1536);
    tar.set(new TextEncoder().encode('sys_info'), 0);
    tar.set(new TextEncoder().encode('ustar\x0000'), 257);
    expect(isPyTorchFile(tar)).toBe(true);
    expect(() => readWeightsFile(tar)).toThrow('it is a tar, as the first versions of torch wrote them');
    // torch 2 writes the file `byteorder` beside data.pkl.
    const zipOf = (order: string) =>
      new JSZip()
        .file('archive/data.pkl', Uint8Array.of(0x80, 2, 0x7d, 0x2e))
        .file('archive/byteorder', order)
        .generateAsync({ type: 'uint8array', compression: 'STORE' });
    const [big, little] = await Promise.all(['big', 'little'].map(zipOf));
    expect(() => readPyTorchFile(big!)).toThrow('byte order');
    expect(() => readPyTorchFile(little!)).toThrow('no state_dict was found');
  });

  it('a newer protocol than 5; what torch writes by 5 is read as by 4', () => {
    const zip = Buffer.from(fixture('types_protocol4.pt'));
    const proto = zip.indexOf(Buffer.from([0x80, 4, 0x95]));
    zip[proto + 1] = 5;
    expectHolds(readPyTorchFile(new Uint8Array(zip)), 'types');
    zip[proto + 1] = 6;
    expect(() => readPyTorchFile(new Uint8Array(zip))).toThrow('newer protocol');
  });

  it.each(['state_dict.pt', 'legacy.pt'])('%s cut short, wherever', (name) => {
    const bytes = fixture(name);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readPyTorchFile(bytes.slice(0, length)), `${length} bytes`).toThrow(PyTorchFileError);
    }
  });

  it.each(['types.pt', 'types_legacy.pt', 'ignite_checkpoint.pt', 'types_protocol4.pt'])(
    '%s with three bytes changed, 600 times: read or refused by name, nothing else',
    (name) => {
      const draw = random(7, 7);
      let refused = 0;
      for (let trial = 0; trial < 600; trial++) {
        const bytes = fixtureOnce(name).slice();
        for (let i = 0; i < 3; i++) bytes[Math.floor(draw.uniform() * bytes.length)] = Math.floor(draw.uniform() * 256);
        try {
          readPyTorchFile(bytes);
        } catch (error) {
          expect(error, `trial ${trial}`).toBeInstanceOf(PyTorchFileError);
          refused += 1;
        }
      }
      expect(refused).toBeGreaterThan(50);
    },
  );
});

describe('hostile pickles', () => {
  const none: Makers = { call: {}, persistent: () => null };
  const pickle = (text: string): Uint8Array => Uint8Array.from(`\x80\x02${text}.`, (one) => one.charCodeAt(0));

  it('a call of os.system makes an inert placeholder', () => {
    const { value } = unpickle(pickle('cos\nsystem\nX\x04\x00\x00\x00rm x\x85R'), none);
    expect(value).toMatchObject({ of: 'os.system' });
  });

  it('a hundred thousand nested lists are no recursion', () => {
    const bytes = pickle(']'.repeat(100_000) + 'a'.repeat(99_999));
    expect(Array.isArray(unpickle(bytes, none).value)).toBe(true);
  });

  it.each([
    ['an empty stack', 'R'],
    ['a mark that was never set', 't'],
    ['a value that was never kept', 'h\x05'],
    ['an instruction of no use', 'i'],
    ['a text longer than the file', 'X\xff\xff\xff\x7f'],
    ['an odd dictionary', '}(K\x01u'],
    ['a call of a number', 'K\x01)R'],
    ['a number of a megabyte', `\x8b\x00\x00\x10\x00${'\x01'.repeat(2 ** 20)}`],
  ])('%s', (_, text) => {
    expect(() => unpickle(pickle(text), none)).toThrow(PyTorchFileError);
  });

  it('a tensor of a billion values over a storage of six', () => {
    // Sizes [1e9], strides [0], in the place of conv.weight's of the file: by hand in the old form, whose parts follow each other.
    const parts = [
      pickle('\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19'),
      pickle('M\xe9\x03'),
      pickle('}X\x0d\x00\x00\x00little_endian\x88s'),
      pickle(
        '}X\x01\x00\x00\x00w' +
          'ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x06NtQ' +
          'K\x00J\x00\xca\x9a\x3b\x85K\x00\x85\x89}tRs',
      ),
      pickle(']X\x01\x00\x00\x000a'),
      Uint8Array.from([6, 0, 0, 0, 0, 0, 0, 0, ...Array<number>(24).fill(0)]),
    ];
    const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
    expect(() => readPyTorchFile(bytes)).toThrow('w has more values than the file can hold');
    // The same with honest sizes is read: what is refused above is the size alone.
    const honest = Buffer.from(bytes);
    const size = honest.indexOf(Buffer.from('J\x00\xca\x9a\x3b\x85K\x00', 'latin1'));
    honest.set([0x4a, 6, 0, 0, 0, 0x85, 0x4b, 1], size);
    expect(readPyTorchFile(new Uint8Array(honest)).get('w')).toEqual({ shape: [6], data: new Float32Array(6) });
  });
});

const read = new Map<string, Uint8Array>();
function fixtureOnce(name: string): Uint8Array {
  if (!read.has(name)) read.set(name, fixture(name));
  return read.get(name)!;
}

/** The network of make_pytorch_files.py. */
function smallGraph(classes: number): Graph {
  const net = graphBuilder();
  let x = net.input('input', 3);
  x = net.conv2d('conv', x, 4, { kernel: 3, stride: 1 });
  x = net.batchNorm2d('norm', x);
  const features = x;
  x = net.flatten('flatten', net.globalAvgPool('pool', features));
  net.linear('classifier', x, classes);
  return net.finish({ architecture: 'small', classes, head: 'classifier', features });
}
