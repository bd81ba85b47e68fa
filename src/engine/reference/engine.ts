import type { Graph, Weights } from '../../graph/types.ts';
import type { AdapterReport, Engine, Network, NetworkOptions } from '../types.ts';
import { createHost, type Host, type OpenBackend } from './host.ts';
import type { InPlace } from './inPlace.ts';
import { createNetwork } from './network.ts';
import { referenceStepBytes } from './stepBytes.ts';

/** What a frozen backbone gives here: tfjs's ops, batch norms folded (frozen.ts). */
const FOLDED = 'tfjs, folded';
/** The other runtime's. */
const COMPILED = 'compiled';

/** A backend that has all that training needs. */
export interface OpenDevice extends OpenBackend {
  readonly inPlace: InPlace | null;
}

/** Another runtime on the same device. Both throw for a graph that it can't run. */
export interface OtherRuntime extends Pick<Engine, 'stepBytes' | 'onPreparing'> {
  build(host: Host, graph: Graph, weights: Weights, options: NetworkOptions): Promise<Network>;
  tune(host: Host, ...step: Parameters<Tune>): ReturnType<Tune>;
}

type Tune = NonNullable<Engine['tune']>;

/** An engine on an open device: of networks on the other runtime where there is one, else on tfjs's ops. */
export function createEngine(adapter: AdapterReport, device: OpenDevice, other: OtherRuntime | null = null): Engine {
  const host = createHost(device);
  const networks: Network[] = [];
  return {
    adapter,
    arithmetic: other === null ? FOLDED : COMPILED,
    lost: host.lost,
    build: (graph, weights, options) =>
      host.guard(async () => {
        const network =
          other === null
            ? createNetwork(host, device.inPlace, graph, weights, options)
            : await other.build(host, graph, weights, options);
        networks.push(network);
        return network;
      }),
    stepBytes: (graph, step) => (other === null ? referenceStepBytes(graph, step) : other.stepBytes(graph, step)),
    onPreparing: (tell) => other?.onPreparing(tell),
    ...(other && { tune: (graph, step, options) => other.tune(host, graph, step, options) }),
    memory: () => host.memory(),
    async dispose() {
      for (const network of networks) network.dispose();
      await host.close();
    },
  };
}
