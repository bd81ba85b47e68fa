import { Document, isSeq, visit } from 'yaml';
import type { Config } from './schema.ts';

const header = [
  ' Every setting of PacerID Studio as it is in use.',
  ' Drop this file on the page, or keep a few of its lines: they merge over configs/base.yaml.',
].join('\n');

/** The effective configuration as YAML that `parseConfig` reads back to the same values. */
export function configToYaml(config: Config): string {
  const document = new Document(config);
  document.commentBefore = header;
  visit(document, {
    Node(_, node) {
      if (isSeq(node)) node.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, singleQuote: true, flowCollectionPadding: false });
}
