import { create, fromBinary, toBinary, type Message } from '@bufbuild/protobuf';
import JSZip from 'jszip';
import { describe, expect, it } from 'vitest';
import {
  ArgumentSchema,
  ValueSchema,
  type Operation as MilOperation,
} from '../../../src/export/coreml/generated/MIL_pb.ts';
import { ModelSchema } from '../../../src/export/coreml/generated/Model_pb.ts';
import { exportFormats, type ExportInput } from '../../../src/export/index.ts';
import { AttributeProtoSchema, ModelProtoSchema, type NodeProto } from '../../../src/export/onnx/generated/onnx_pb.ts';
import { UnreadableModelError } from '../../../src/parity/errors.ts';
import { readers } from '../../../src/parity/readers.ts';
import type { CertifiedFormat } from '../../../src/parity/types.ts';
import { exportInput } from '../support/exportInput.ts';
import { formulaWeights } from '../support/formulaWeights.ts';
import { graphsByHand } from '../support/graphsByHand.ts';

/** What a reader doesn't look at might change what an operation means: one thing more than it knows, and the file is refused, by its name. */
const labels = ['MDT - Azure', 'BOS - Emblem', 'MDT - Advisa', 'STJ - Accent', 'none'];
/** Only the larger weights of the network itself lie in 8 bits. */
const variants: readonly (readonly [graph: string | null, Partial<ExportInput>])[] = [
  [null, { weightStorage: 'linear' }],
  [null, { weightStorage: 'palettized' }],
  ['squeeze and excitation of a value that others read too', { makerOutput: true }],
  ['a concatenation of an activation and of one value twice', {}],
  ['channels that fill no fours', {}],
  ['an activation that is read twice', {}],
  ['a norm whose value is read with and without activation', {}],
];
const written = (format: CertifiedFormat) =>
  Promise.all(
    variants.map(async ([graph, change]) => {
      const input = exportInput('tiny', labels, formulaWeights, {
        ...(graph !== null && { graph: graphsByHand[graph]! }),
        imageSize: 32,
        ...change,
      });
      return (await exportFormats[format].write(input)).bytes;
    }),
  );

/** `changed`: the file with one thing more in one operation; `of`: of which type, once each. */
interface Mutation {
  readonly of: string;
  readonly what: string;
  readonly changed: Uint8Array;
}

async function refusals(format: CertifiedFormat, mutations: readonly Mutation[]): Promise<string[]> {
  const types = new Set<string>();
  for (const { of, what, changed } of mutations) {
    const error = await readers[format](changed).catch((reason: unknown) => reason);
    expect(error, `${of}: ${what}`).toBeInstanceOf(UnreadableModelError);
    expect((error as Error).message, of).toMatch(/unheard|field 999|not known here|isn’t known here|inputs/);
    types.add(of);
  }
  return [...types].sort();
}

const changedEntry = async (bytes: Uint8Array, end: string, change: (content: Uint8Array) => Uint8Array) => {
  const zip = await JSZip.loadAsync(bytes);
  const path = Object.keys(zip.files).find((name) => name.endsWith(end))!;
  zip.file(path, change(await zip.file(path)!.async('uint8array')));
  return zip.generateAsync({ type: 'uint8array' });
};
const entry = async (bytes: Uint8Array, end: string) => {
  const { files } = await JSZip.loadAsync(bytes);
  return Object.values(files)
    .find(({ name }) => name.endsWith(end))!
    .async('uint8array');
};

/** A field that no definition has. */
const addField = (message: Message): void => {
  message.$unknown = [...(message.$unknown ?? []), { no: 999, wireType: 0, data: Uint8Array.of(1) }];
};

describe('one thing more than is known of an operation', () => {
  it('is refused in a Core ML package: an argument, an attribute, a field', async () => {
    const operationsOf = (content: Uint8Array) => {
      const model = fromBinary(ModelSchema, content);
      if (model.Type.case !== 'mlProgram') throw new Error('no program');
      const [block] = Object.values(model.Type.value.functions['main']!.blockSpecializations);
      return { model, operations: block!.operations };
    };
    const extras: Readonly<Record<string, (operation: MilOperation, constant: string) => void>> = {
      argument({ inputs }, constant) {
        inputs['unheard'] = create(ArgumentSchema, { arguments: [{ binding: { case: 'name', value: constant } }] });
      },
      attribute({ attributes }) {
        attributes['unheard'] = attributes['name'] ?? create(ValueSchema);
      },
      field: addField,
    };
    const mutations: Mutation[] = [];
    const seen = new Set<string>();
    for (const bytes of await written('mlpackage')) {
      const { operations } = operationsOf(await entry(bytes, 'model.mlmodel'));
      const constant = operations.find(({ type }) => type === 'const')!.outputs[0]!.name;
      for (const [index, { type }] of operations.entries()) {
        // The first constants are what others are made of.
        if (seen.has(type) || (type === 'const' && index === 0)) continue;
        seen.add(type);
        for (const [what, add] of Object.entries(extras)) {
          const changed = await changedEntry(bytes, 'model.mlmodel', (content) => {
            const again = operationsOf(content);
            add(again.operations[index]!, constant);
            return toBinary(ModelSchema, again.model);
          });
          mutations.push({ of: type, what, changed });
        }
      }
    }
    const types = await refusals('mlpackage', mutations);
    expect(types).toEqual(
      expect.arrayContaining(['classify', 'concat', 'const', 'constexpr_affine_dequantize', 'constexpr_lut_to_dense']),
    );
    expect(types).toEqual(expect.arrayContaining(['avg_pool', 'conv', 'linear', 'max_pool', 'reduce_mean', 'softmax']));
  });

  it('is refused in a Core ML model file: a field of a layer’s parameters', async () => {
    const layersOf = (content: Uint8Array) => {
      const model = fromBinary(ModelSchema, content);
      if (model.Type.case !== 'neuralNetworkClassifier') throw new Error('no classifier');
      return { model, layers: model.Type.value.layers };
    };
    const mutations: Mutation[] = [];
    const seen = new Set<string>();
    for (const bytes of await written('mlmodel')) {
      for (const [index, { layer }] of layersOf(bytes).layers.entries()) {
        const type = layer.case!;
        if (seen.has(type)) continue;
        seen.add(type);
        const { model, layers } = layersOf(bytes);
        addField(layers[index]!.layer.value!);
        mutations.push({ of: type, what: 'field', changed: toBinary(ModelSchema, model) });
      }
    }
    const types = await refusals('mlmodel', mutations);
    expect(types).toEqual(expect.arrayContaining(['activation', 'concat', 'convolution', 'innerProduct', 'pooling']));
  });

  it('is refused in an ONNX file: an attribute, an input, a field', async () => {
    const extras: Readonly<Record<string, (node: NodeProto, constant: string) => void>> = {
      attribute: ({ attribute }) => attribute.push(create(AttributeProtoSchema, { name: 'unheard', type: 2, i: 1n })),
      input: ({ opType, input }, constant) => {
        // Conv takes a third, which is its bias, and Concat any number.
        while (opType !== 'Concat' && input.length < 6) input.push(constant);
      },
      field: addField,
    };
    const mutations: Mutation[] = [];
    const seen = new Set<string>();
    for (const bytes of await written('onnx')) {
      for (const [index, { opType }] of fromBinary(ModelProtoSchema, bytes).graph!.node.entries()) {
        if (seen.has(opType)) continue;
        seen.add(opType);
        for (const [what, add] of Object.entries(extras)) {
          if (opType === 'Concat' && what === 'input') continue;
          const model = fromBinary(ModelProtoSchema, bytes);
          add(model.graph!.node[index]!, model.graph!.initializer[0]!.name);
          mutations.push({ of: opType, what, changed: toBinary(ModelProtoSchema, model) });
        }
      }
    }
    const types = await refusals('onnx', mutations);
    expect(types).toEqual(
      expect.arrayContaining(['AveragePool', 'Concat', 'Conv', 'DequantizeLinear', 'Gather', 'Gemm', 'MaxPool']),
    );
  });

  it('is refused in a TensorFlow.js model: an attribute, an input, a property', async () => {
    interface Node {
      op: string;
      name: string;
      input?: string[];
      attr?: Record<string, unknown>;
      unheard?: number;
    }
    const nodesOf = (content: Uint8Array) => {
      const model = JSON.parse(new TextDecoder().decode(content)) as { modelTopology: { node: Node[] } };
      return { model, nodes: model.modelTopology.node };
    };
    const extras: Readonly<Record<string, (node: Node, constant: string) => void>> = {
      attribute: (node) => (node.attr = { ...node.attr, unheard: { b: true } }),
      input(node, constant) {
        if (node.op !== 'Const') node.input = [...(node.input ?? []), constant, constant];
      },
      property: (node) => (node.unheard = 1),
    };
    const mutations: Mutation[] = [];
    const seen = new Set<string>();
    for (const bytes of await written('tfjs')) {
      const { nodes } = nodesOf(await entry(bytes, 'model.json'));
      const constant = nodes.find(({ op }) => op === 'Const')!.name;
      for (const [index, { op }] of nodes.entries()) {
        if (seen.has(op)) continue;
        seen.add(op);
        for (const [what, add] of Object.entries(extras)) {
          if (what === 'input' && (op === 'Const' || op === 'ConcatV2')) continue;
          const changed = await changedEntry(bytes, 'model.json', (content) => {
            const again = nodesOf(content);
            add(again.nodes[index]!, constant);
            return new TextEncoder().encode(JSON.stringify(again.model));
          });
          mutations.push({ of: op, what, changed });
        }
      }
    }
    const types = await refusals('tfjs', mutations);
    expect(types).toEqual(expect.arrayContaining(['AvgPool', 'ConcatV2', 'Const', 'MatMul', 'MaxPool', 'Placeholder']));
  });
});
