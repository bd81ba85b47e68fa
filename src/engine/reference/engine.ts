import type { Graph, Weights } from '../../graph/types.ts';
import type { AdapterReport, Engine, Network, NetworkOptions } from '../types.ts';
import { createHost, type Host, type OpenBackend } from './host.ts';
import type { InPlace } from './inPlace.ts';
import { createNetwork } from './network.ts';

/** A backend that has all that training needs. */
export interface OpenDevice extends OpenBackend {
  readonly inPlace: InPlace | null;
}

/** Another runtime on the same device; null for a graph that it can't run. */
export type BuildNetwork = (
  host: Host,
  graph: Graph,
  weights: Weights,
  options: NetworkOptions,
) => Promise<Network> | null;

/** An engine on an open device: of networks on `build`'s runtime where it can, else on tfjs's ops. */
export function createEngine(adapter: AdapterReport, device: OpenDevice, build: BuildNetwork | null = null): Engine {
  const host = createHost(device);
  const networks: Network[] = [];
  return {
    adapter,
    lost: host.lost,
    build: (graph, weights, options) =>
      host.guard(async () => {
        const network =
          (await build?.(host, graph, weights, options)) ??
          createNetwork(host, device.inPlace, graph, weights, options);
        networks.push(network);
        return network;
      }),
    memory: () => host.memory(),
    async dispose() {
      for (const network of networks) network.dispose();
      await host.close();
    },
  };
}
