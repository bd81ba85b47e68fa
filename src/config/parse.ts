import { isAlias, isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { ConfigError, type ConfigIssue } from './errors.ts';
import type { ConfigLayer, Place } from './layer.ts';
import { resolveConfig } from './merge.ts';
import type { Config } from './schema.ts';
import type { ConfigTree, ConfigValue } from './tree.ts';
import { issuesOf } from './validate.ts';

/**
 * A YAML file (1.2) with some of the settings. An empty file is an empty layer.
 * Throws `ConfigError` with every issue: syntax, a key written twice, unknown keys, values that are not allowed.
 */
export function parseLayer(yamlText: string, options: { file: string }): ConfigLayer {
  const source = options.file;
  const lines = new LineCounter();
  // Duplicates are found below, with their path; the parser's own message has none.
  const document = parseDocument(yamlText, { lineCounter: lines, uniqueKeys: false, prettyErrors: false });
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };

  const syntax = document.errors.map((error) => ({
    path: '',
    source,
    ...placeAt(error.pos[0]),
    message: `this is not valid YAML: ${error.message.replace(/\.?\s*$/, '.')}`,
  }));
  if (syntax.length > 0) throw new ConfigError(syntax);

  const read = readDocument(document, source, placeAt);
  const issues = [
    ...read.issues,
    ...issuesOf(read.values, {
      partial: true,
      originOf: (path) => ({ source, place: read.places.get(path) ?? null }),
    }),
  ].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  if (issues.length > 0) throw new ConfigError(issues);
  return { source, values: read.values, placeOf: (path) => read.places.get(path) ?? null };
}

/**
 * A YAML file, by itself or over other layers (`over: [base]`). The result is complete; throws `ConfigError` where a
 * setting is missing or not allowed.
 */
export function parseConfig(yamlText: string, options: { file: string; over?: readonly ConfigLayer[] }): Config {
  return resolveConfig([...(options.over ?? []), parseLayer(yamlText, options)]).config;
}

/** The comment behind or above each setting: the help text of base.yaml, written once. Path → text. */
export function commentsOf(yamlText: string): ReadonlyMap<string, string> {
  const comments = new Map<string, string>();
  const walk = (node: unknown, prefix: string) => {
    if (!isMap(node)) return;
    for (const { key, value } of node.items) {
      const path = prefix + keyText(key);
      // A comment behind `section:` becomes the comment above the section's first key.
      const text = isMap(value)
        ? value.commentBefore
        : typeof value === 'object' && value !== null && 'comment' in value && typeof value.comment === 'string'
          ? value.comment
          : null;
      if (text) comments.set(path, text.trim());
      walk(value, `${path}.`);
    }
  };
  walk(parseDocument(yamlText).contents, '');
  return comments;
}

function readDocument(document: Document, source: string, placeAt: (offset: number) => Place) {
  const places = new Map<string, Place>();
  const issues: ConfigIssue[] = [];

  const readMap = (node: unknown, prefix: string): ConfigValue => {
    if (isAlias(node)) return readMap(node.resolve(document), prefix);
    if (!isMap(node)) {
      return node === null ? null : (document.createNode(node).toJS(document) as ConfigValue);
    }
    const entries = new Map<string, ConfigValue>();
    for (const { key, value } of node.items) {
      const path = prefix + keyText(key);
      const offset = isScalar(key) ? (key.range?.[0] ?? 0) : 0;
      if (entries.has(keyText(key))) {
        const first = places.get(path);
        const message = `${path} is written twice${first ? `, first in line ${first.line}` : ''}; keep one of them.`;
        issues.push({ path, source, ...placeAt(offset), message });
        continue;
      }
      places.set(path, placeAt(offset));
      entries.set(keyText(key), readMap(value, `${path}.`));
    }
    return Object.fromEntries(entries);
  };

  if (document.contents === null) return { values: {} as ConfigTree, places, issues };
  const values = readMap(document.contents, '');
  if (!isMap(document.contents)) {
    const message = 'these are no settings; a file looks like “training:” with “  epochs: 20” below it.';
    throw new ConfigError([{ path: '', source, line: 1, column: 1, message }]);
  }
  return { values: values as ConfigTree, places, issues };
}

function keyText(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
}
