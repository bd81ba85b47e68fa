import { batchNormEpsOf } from '../graph/batchNormEps.ts';
import { parametersOf } from '../graph/parameters.ts';
import type { Graph, Tensor, Weights } from '../graph/types.ts';
import { FoldedBatchNormError, WrongArchitectureError } from './errors.ts';
import { matchHead, type MatchedHead } from './matchHead.ts';
import { BATCH_NORM_EPS_METADATA, batchNormEpsIn } from './metadata.ts';
import { isNoMisfit, misfitOf, type Misfit } from './misfit.ts';
import { underTorchvisionNames, type Named } from './names.ts';
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
  /** The eps with which these weights are right: the graph that they are put into must have it. Null: no batch norms. */
  readonly batchNormEps: number | null;
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
 * Fills `graph` from a file with torchvision's or timm's names (`underTorchvisionNames`), wherever it came from. The head is filled
 * row by row: labels that the file knows keep theirs (`matchHead`). Throws `WrongArchitectureError`.
 */
export function matchWeights(
  file: Pick<WeightsFile, 'tensors' | 'metadata' | 'labels'>,
  options: MatchOptions,
): MatchedWeights {
  const { graph, labels, initialHead, candidates } = options;
  const named = underTorchvisionNames(file.tensors);
  const { tensors } = named;
  const misfit = misfitOf(graph, named);
  if (!isNoMisfit(misfit)) throw otherNetwork(graph, misfit, named, candidates);
  const warnings: string[] = [];
  const folded = hasFoldedBatchNorms(graph, tensors);
  if (folded) warnings.push(foldedBatchNormWarning);
  const { eps, warnings: aboutEps } = epsFor(graph, named, file.metadata);
  warnings.push(...aboutEps);

  const headWeight = tensors.get(`${graph.head}.weight`);
  const {
    weights: headWeights,
    warnings: aboutHead,
    ...head
  } = matchHead(graph.head, tensors, file.labels, labels, initialHead);
  warnings.push(...aboutHead);
  const weights = new Map<string, Tensor>();
  for (const { name, node } of parametersOf(graph)) {
    const source = node === graph.head ? headWeights : tensors;
    const tensor = source.get(name);
    if (!tensor) throw new Error(`No values for ${name}`);
    weights.set(name, { shape: tensor.shape, data: tensor.data });
  }
  return {
    weights,
    batchNormEps: eps,
    head,
    classesInFile: headWeight?.shape[0] ?? null,
    foldedBatchNorms: folded,
    warnings,
  };
}

/** Whether a file holds all of a network but for its head, and nothing else. */
export function fits(graph: Graph, file: Pick<WeightsFile, 'tensors'>): boolean {
  return isNoMisfit(misfitOf(graph, underTorchvisionNames(file.tensors)));
}

/** Training all layers from folded batch norms falls to chance (measured with MobileNetV3: 0.10); a new head on top learns. */
export function assertTrainable(weights: Pick<MatchedWeights, 'foldedBatchNorms'>, layers: 'all' | 'head'): void {
  if (layers === 'all' && weights.foldedBatchNorms) throw new FoldedBatchNormError();
}

/** The eps that a file's weights are right with, in a network like `graph`; null where that has no batch norms. */
export function batchNormEpsOfFile(graph: Graph, file: Pick<WeightsFile, 'tensors' | 'metadata'>): number | null {
  return epsFor(graph, underTorchvisionNames(file.tensors), file.metadata).eps;
}

/** What the file says itself goes before what its names tell; else the architecture's own. */
function epsFor(
  graph: Graph,
  named: Named,
  metadata: Readonly<Record<string, string>>,
): { readonly eps: number | null; readonly warnings: readonly string[] } {
  const own = batchNormEpsOf(graph);
  if (own === null) return { eps: null, warnings: [] };
  const said = batchNormEpsIn(metadata);
  const eps = (said === 'wrong' ? null : said) ?? named.batchNormEps ?? own;
  const wrong = `What this file says of its batch norms’ epsilon (${metadata[BATCH_NORM_EPS_METADATA]}) is none: ${eps} is taken.`;
  const other =
    `This file was made with ${eps} as batch norms’ epsilon, where ${graph.architecture} has ${own}: ` +
    `the run and what is exported of it have ${eps}.`;
  return { eps, warnings: [...(said === 'wrong' ? [wrong] : []), ...(eps === own ? [] : [other])] };
}

function otherNetwork(
  graph: Graph,
  misfit: Misfit,
  named: Named,
  candidates: readonly Graph[],
): WrongArchitectureError {
  const others = candidates
    .filter(({ architecture }) => architecture !== graph.architecture)
    .map((candidate) => ({ architecture: candidate.architecture, misfit: misfitOf(candidate, named) }));
  const exact = others.find((one) => isNoMisfit(one.misfit));
  // Of all of its own tensors a file of that network would have the most here.
  const nearest = [{ architecture: graph.architecture, misfit }, ...others]
    .filter((one) => one.misfit.fitting > 0)
    .sort((a, b) => b.misfit.fitting / b.misfit.wanted - a.misfit.fitting / a.misfit.wanted)[0];
  return new WrongArchitectureError(graph.architecture, {
    is: exact?.architecture ?? null,
    misfit,
    nearest: nearest && { architecture: nearest.architecture, ...nearest.misfit },
  });
}

function hasFoldedBatchNorms(graph: Graph, tensors: ReadonlyMap<string, Tensor>): boolean {
  const norms = graph.nodes.filter((node) => node.op === 'batchNorm2d');
  const is = (name: string, value: number) => tensors.get(name)?.data.every((x) => x === value) === true;
  return norms.length > 0 && norms.every(({ name }) => is(`${name}.running_mean`, 0) && is(`${name}.running_var`, 1));
}
