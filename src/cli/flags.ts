import { parseArgs, type ParseArgsConfig } from 'node:util';
import { nearestOf } from '../config/describe.ts';
import { UsageError } from './errors.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * `parseArgs`, strict, with sentences for what it refuses and the nearest known flag for one that there isn't; a flag with one
 * value is taken once. `command` is the name after `npm run`.
 */
export function readFlags<const T extends Options>(command: string, args: readonly string[], options: T) {
  const known = Object.keys(options);
  for (const arg of args) {
    if (arg === '--') break;
    const name = /^--([^=]+)/.exec(arg)?.[1];
    if (name === undefined || known.includes(name)) continue;
    const meant = nearestOf(name, known, Math.max(2, Math.floor(name.length / 3)));
    throw new UsageError(`There is no flag --${name}${meant ? `; did you mean --${meant}?` : '.'}`, command);
  }
  try {
    const { tokens, ...parsed } = parseArgs({
      args: [...args],
      options,
      allowPositionals: true,
      strict: true,
      tokens: true,
    });
    refuseTwice(command, tokens, options);
    return parsed;
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(sentence(error), command);
  }
}

/** The last one would win silently. */
function refuseTwice(command: string, tokens: readonly { kind: string; name?: string }[], options: Options): void {
  const seen = new Set<string>();
  for (const { name } of tokens) {
    if (name === undefined || options[name]?.type !== 'string' || options[name].multiple) continue;
    const more = name === 'data' && 'add' in options ? '--add brings more images' : 'only one can hold';
    if (seen.has(name)) throw new UsageError(`--${name} is given twice; ${more}.`, command);
    seen.add(name);
  }
}

/** Throws where words were given that belong to no flag. */
export function refuseWords(command: string, words: readonly string[]): void {
  if (words.length > 0) throw new UsageError(`“${words[0]}” belongs to no flag.`, command);
}

function sentence(error: unknown): string {
  const { code, message } = error as Error & { code?: string };
  const flag = /'(-[^' ]*)/.exec(message)?.[1] ?? 'A flag';
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') return `There is no flag ${flag}.`;
  if (code !== 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') throw error;
  return /does not take an argument/.test(message)
    ? `${flag} takes no value.`
    : `${flag.replace(/^-\w,\s*/, '')} needs a value behind it.`;
}
