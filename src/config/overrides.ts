import { parse } from 'yaml';
import { describeSetting } from './describe.ts';
import { ConfigError, type ConfigIssue } from './errors.ts';
import { layerOf, type ConfigLayer } from './layer.ts';
import { mergeTrees, treeOf, type ConfigTree, type ConfigValue } from './tree.ts';
import { issuesOf, unknownKeyMessage } from './validate.ts';

/**
 * A layer from `path=value` pairs, the values typed by the schema: `30`, `true`, `null`, `[0.9, 1]` or `0.9,1`.
 * Throws `ConfigError` for unknown paths, a path given twice, and values that are not allowed.
 */
export function layerFromPairs(source: string, pairs: readonly (readonly [path: string, text: string])[]): ConfigLayer {
  const issues: ConfigIssue[] = [];
  const fault = (path: string, message: string) => issues.push({ path, source, line: null, column: null, message });
  const seen = new Set<string>();
  let values: ConfigTree = {};
  for (const [path, text] of pairs) {
    if (seen.has(path)) fault(path, `${path} is given twice; keep one of them.`);
    else if (describeSetting(path) === null) fault(path, unknownKeyMessage(path));
    else values = mergeTrees(values, treeOf(path, valueFromText(path, text)));
    seen.add(path);
  }
  issues.push(...issuesOf(values, { partial: true, originOf: () => ({ source, place: null }) }));
  if (issues.length > 0) throw new ConfigError(issues);
  return layerOf(source, values);
}

/** The value that a text stands for at this path; text that makes no sense stays text and fails validation. */
export function valueFromText(path: string, text: string): ConfigValue {
  const setting = describeSetting(path);
  if (setting === null || setting.kind === 'text' || setting.kind === 'choice') return text;
  const yamlText = setting.kind === 'pair' && !text.trim().startsWith('[') ? `[${text}]` : text;
  try {
    return parse(yamlText) as ConfigValue;
  } catch {
    return text;
  }
}
