import { ConfigError } from './errors.ts';
import type { ConfigLayer } from './layer.ts';
import { layerFromPairs } from './overrides.ts';

/** Overrides on a command line: the values of `--set path=value`. Throws `ConfigError`. */
export function overridesFromFlags(flags: readonly string[]): ConfigLayer {
  const source = 'command line';
  const pairs = flags.map((flag) => {
    const at = flag.indexOf('=');
    if (at < 1) {
      const message = `--set ${flag} has no value; it is written --set training.epochs=30.`;
      throw new ConfigError([{ path: flag, source, line: null, column: null, message }]);
    }
    return [flag.slice(0, at), flag.slice(at + 1)] as const;
  });
  return layerFromPairs(source, pairs);
}
