/** `node scripts/run.mjs tests/tools/writeSample.ts FILE.zip`: the default sample data set as a zip, as the page hands it out. */
import { readFileSync, writeFileSync } from 'node:fs';
import JSZip from 'jszip';
import { parse } from 'yaml';
import { drawSample } from '../../src/dataset/sample/drawSample.ts';
import { dataSettings } from '../../src/dataset/settings.ts';

const [file = 'sample.zip'] = process.argv.slice(2);
const { data } = parse(readFileSync('configs/base.yaml', 'utf8')) as { data: unknown };
const zip = new JSZip();
for (const { path, png } of drawSample(dataSettings.parse(data).sample)) zip.file(path, png);
writeFileSync(file, await zip.generateAsync({ type: 'uint8array', compression: 'STORE' }));
