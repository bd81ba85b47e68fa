import type { AdapterReport, Engine, Network } from '../types.ts';
import { createHost, type OpenBackend } from './host.ts';
import type { InPlace } from './inPlace.ts';
import { createNetwork } from './network.ts';

/** A backend that has all that training needs. */
export interface OpenDevice extends OpenBackend {
  readonly inPlace: InPlace | null;
}

/** An engine on an open device. */
export function createEngine(adapter: AdapterReport, device: OpenDevice): Engine {
  const host = createHost(device);
  const networks: Network[] = [];
  return {
    adapter,
    lost: host.lost,
    build: (graph, weights, options) =>
      host.guard(async () => {
        const network = createNetwork(host, device.inPlace, graph, weights, options);
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
