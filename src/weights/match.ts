import { parametersOf, sizeOf } from '../graph/parameters.ts';
import type { Graph, Tensor, Weights } from '../graph/types.ts';
import { FoldedBatchNormError, WrongArchitectureError } from './errors.ts';
import { adaptBatchNormEps } from './batchNormEps.ts';
import { matchHead, type MatchedHead } from './matchHead.ts';
import type { WeightsFile } from './readWeights.ts';

export interface MatchOptions {
  /** The network to fill, with a head for the data set's classes. */
  readonly graph: Graph;
  /** The data set's classes; null where only a look is wanted: then nothing of the file's own head is kept. */
  readonly labels: readonly string[] | null;
  /** Weight and bias of a new head (`initialHead` of architectures/). */
  readonly initialHead: Weights;
  /** One graph of every architecture, any number of classes: to tell what a file is that does not fit. */
  readonly candidates: readonly Graph[];
}

export interface MatchedWeights {
  /** Exactly the graph's parameters and running statistics. */
  readonly weights: Weights;
  /** What became of the file's own head. */
  readonly head: Omit<MatchedHead, 'weights' | 'warnings'>;
  /** Classes that the file's own head tells apart; null where it has none. */
  readonly classesInFile: number | null;
  readonly foldedBatchNorms: boolean;
  /** For the user, in sentences. */
  readonly warnings: readonly string[];
}

export const foldedBatchNormWarning =
  'The batch norms of this file were folded away (every running mean is 0, every variance 1): ' +
  'train the head only; training all layers from it falls to chance.';

/**
 * Fills `graph` from a file with torchvision's names. `num_batches_tracked`, a `module.` or `model.` before every name
 * (DataParallel, Lightning) and the old names of DenseNet (`norm.1`) are seen to. The head is filled row by row: labels that the
 * file knows keep theirs (`matchHead`). Throws `WrongArchitectureError`.
 */
export function matchWeights(
  file: Pick<WeightsFile, 'tensors' | 'metadata' | 'labels'>,
  options: MatchOptions,
): MatchedWeights {
  const { graph, labels, initialHead, candidates } = options;
  const tensors = canonicalNames(file.tensors);
  const misfit = misfitOf(graph, tensors);
  if (misfit !== null) {
    const other = candidates.find((candidate) => misfitOf(candidate, tensors) === null);
    throw new WrongArchitectureError(graph.architecture, other?.architecture ?? null, misfit);
  }
  const warnings: string[] = [];
  const folded = hasFoldedBatchNorms(graph, tensors);
  if (folded) warnings.push(foldedBatchNormWarning);
  const adapted = adaptBatchNormEps(graph, tensors, file.metadata);
  if (adapted.changed) warnings.push('The batch norms were adapted: this file was made with another epsilon.');

  const headWeight = tensors.get(`${graph.head}.weight`);
  const {
    weights: headWeights,
    warnings: aboutHead,
    ...head
  } = matchHead(graph.head, tensors, file.labels, labels, initialHead);
  warnings.push(...aboutHead);
  const weights = new Map<string, Tensor>();
  for (const { name, node } of parametersOf(graph)) {
    const source = node === graph.head ? headWeights : adapted.tensors;
    const tensor = source.get(name);
    if (!tensor) throw new Error(`No values for ${name}`);
    weights.set(name, { shape: tensor.shape, data: tensor.data });
  }
  return {
    weights,
    head,
    classesInFile: headWeight?.shape[0] ?? null,
    foldedBatchNorms: folded,
    warnings,
  };
}

/** Whether a file holds all of a network but for its head, and nothing else. */
export function fits(graph: Graph, file: Pick<WeightsFile, 'tensors'>): boolean {
  return misfitOf(graph, canonicalNames(file.tensors)) === null;
}

/** Training all layers from folded batch norms falls to chance (measured with MobileNetV3: 0.10); a new head on top learns. */
export function assertTrainable(weights: Pick<MatchedWeights, 'foldedBatchNorms'>, layers: 'all' | 'head'): void {
  if (layers === 'all' && weights.foldedBatchNorms) throw new FoldedBatchNormError();
}

/** Names as torchvision writes them today. */
function canonicalNames(tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const prefix = commonPrefix([...tensors.keys()]);
  // The pattern of torchvision/models/densenet.py, _load_state_dict.
  const old = /^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$/;
  return new Map(
    [...tensors]
      .filter(([name]) => !name.endsWith('.num_batches_tracked'))
      .map(([name, tensor]) => [name.slice(prefix.length).replace(old, '$1$2'), tensor]),
  );
}

/** What wrappers put before every name: `module.`, `model.`, or one in the other. */
function commonPrefix(names: readonly string[]): string {
  let prefix = '';
  for (;;) {
    const next = ['module.', 'model.'].find((one) => names.every((name) => name.startsWith(prefix + one)));
    if (next === undefined || names.length === 0) return prefix;
    prefix += next;
  }
}

const headParameters = (graph: Graph) => parametersOf(graph).filter(({ node }) => node === graph.head);

/** Null where everything but the head is there, in the right shape, and nothing else is; else a sentence. */
function misfitOf(graph: Graph, tensors: ReadonlyMap<string, Tensor>): string | null {
  const wanted = parametersOf(graph).filter(({ node }) => node !== graph.head);
  const known = new Set([...wanted, ...headParameters(graph)].map(({ name }) => name));
  const missing = wanted.filter(({ name }) => !tensors.has(name));
  const unexpected = [...tensors.keys()].filter((name) => !known.has(name));
  const misshapen = wanted.filter(({ name, shape }) => tensors.has(name) && !isShape(tensors.get(name), shape));
  const parts = [
    listed(
      'is missing',
      'are missing',
      missing.map(({ name }) => name),
    ),
    listed('is unknown', 'are unknown', unexpected),
    listed(
      'has another shape',
      'have other shapes',
      misshapen.map(
        ({ name, shape }) => `${name} ([${tensors.get(name)?.shape.join(', ')}] for [${shape.join(', ')}])`,
      ),
    ),
  ].filter((part) => part !== null);
  return parts.length === 0 ? null : parts.join('; ');
}

function listed(one: string, many: string, names: readonly string[]): string | null {
  const [first] = names;
  if (first === undefined) return null;
  return names.length === 1 ? `${first} ${one}` : `${names.length} tensors ${many}, ${first} among them`;
}

const isShape = (tensor: Tensor | undefined, shape: readonly number[]) =>
  tensor !== undefined &&
  sizeOf(tensor.shape) === sizeOf(shape) &&
  tensor.shape.length === shape.length &&
  tensor.shape.every((size, axis) => size === shape[axis]);

function hasFoldedBatchNorms(graph: Graph, tensors: ReadonlyMap<string, Tensor>): boolean {
  const norms = graph.nodes.filter((node) => node.op === 'batchNorm2d');
  const is = (name: string, value: number) => tensors.get(name)?.data.every((x) => x === value) === true;
  return norms.length > 0 && norms.every(({ name }) => is(`${name}.running_mean`, 0) && is(`${name}.running_var`, 1));
}
