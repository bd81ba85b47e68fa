import { join } from 'node:path';
import { proofProblem } from '../registry/proof.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryListing, VersionDetails, VersionDiff, VersionRecord } from '../registry/types.ts';
import type { Command } from './command.ts';
import { UsageError } from './errors.ts';
import { readFlags } from './flags.ts';
import { candidateIn, openRegistry } from './registry.ts';
import { settingFlags, settingsOf } from './settings.ts';
import {
  dateInWords,
  proofInShort,
  proofInWords,
  testInWords,
  testSetsInWords,
  versionInWords,
} from './versionWords.ts';
import { count, megabytes, percent, table } from './words.ts';

const flags = { config: settingFlags.config, set: settingFlags.set, json: { type: 'boolean' } } as const;

export const command: Command = {
  summary: 'Lists, shows and compares the versions of the model; goes back to an earlier one.',
  usage: `npm run versions -- list | show V | diff A B | rollback V | notes V TEXT [flags]

  list                   all, the newest first; * is current, ! cannot be used
  show V                 all about one, its checksums verified
  diff A B               labels, settings and figures that differ
  rollback V             makes V current; sync-model --version V then copies it to the app
  notes V TEXT           replaces its notes

  --json                 the answer as one line of JSON
  --config FILE, --set path=value
                         output.models_dir, where versions are kept`,
  run,
};

/** What a verb prints, and its answer for `--json`. */
interface Answer {
  readonly lines: readonly string[];
  readonly json: unknown;
}

type Verb = (
  registry: Registry,
  words: readonly string[],
  place: { modelsDir: string; dir: string },
) => Promise<Answer>;

const verbs: Readonly<Record<string, { readonly words: readonly string[]; readonly run: Verb }>> = {
  list: { words: [], run: list },
  show: { words: ['V'], run: show },
  diff: { words: ['A', 'B'], run: diff },
  rollback: { words: ['V'], run: rollback },
  notes: { words: ['V', 'TEXT'], run: notes },
};

async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = readFlags('versions', args, flags);
  const [name = 'list', ...words] = positionals;
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb === undefined)
    throw new UsageError(`There is no “${name}”; there are ${Object.keys(verbs).join(', ')}.`, 'versions');
  if (words.length !== verb.words.length)
    throw new UsageError(`It is written: npm run versions -- ${[name, ...verb.words].join(' ')}.`, 'versions');
  const { output } = (await settingsOf(values)).config;
  const place = { modelsDir: output.models_dir, dir: output.dir };
  const { lines, json } = await verb.run(openRegistry(place.modelsDir), words, place);
  if (values.json) console.log(JSON.stringify(json));
  else for (const line of lines) console.log(line);
  return 0;
}

async function list(
  registry: Registry,
  _: readonly string[],
  place: { modelsDir: string; dir: string },
): Promise<Answer> {
  const listing = await registry.list(await candidateIn(place.dir));
  return { lines: listed(listing, place.modelsDir), json: listing };
}

function listed(listing: RegistryListing, modelsDir: string): string[] {
  const { versions, damaged, newer, current, suggested } = listing;
  const next = `The next number would be ${suggested}: npm run sync-model -- --version ${suggested}.`;
  if (versions.length + damaged.length + newer.length === 0)
    return [`There are no versions in ${modelsDir} yet.`, next];
  const missing = current !== null && !newer.includes(current) && !versions.some(({ version }) => version === current);
  const rows = versions.map((one) => [
    one.version === current ? '*' : ' ',
    one.version,
    dateInWords(one.createdAt),
    one.architecture,
    String(one.labels.length),
    testInWords(one),
    one.validation === null ? '–' : percent(one.validation.accuracy),
    megabytes(one.bytes),
    proofInShort(one),
    one.startedFrom,
    firstLine(one.notes),
  ]);
  const head = [
    '',
    'version',
    'made',
    'network',
    'classes',
    'Test',
    'validation',
    'size',
    'certificate',
    'started from',
    'notes',
  ];
  return [
    ...(rows.length > 0 ? table([head, ...rows], [0, 1, 2, 3, 8, 9, 10]) : []),
    ...newer.map((version) => `!  ${version}  saved by a newer version of PacerID Studio, left as it is`),
    ...damaged.map(({ version, reason }) => `!  ${version}  damaged: ${reason}`),
    '',
    ...(current === null ? ['No version is current.'] : []),
    ...(missing ? [`${join(modelsDir, 'current')} names ${current}, which is not there whole.`] : []),
    ...unprovenInWords(versions),
    next,
  ];
}

function unprovenInWords(versions: RegistryListing['versions']): string[] {
  const unproven = versions.filter((one) => proofProblem(one) !== null).map(({ version }) => version);
  if (unproven.length === 0) return [];
  return [
    `Nothing proves that the package of ${unproven.join(', ')} answers as the trained model does; npm run versions -- show V says why.`,
  ];
}

function firstLine(notes: string): string {
  const [line = ''] = notes.split('\n');
  return line.length > 50 ? `${line.slice(0, 49)}…` : line;
}

async function show(registry: Registry, [version = '']: readonly string[]): Promise<Answer> {
  const details = await registry.read(version);
  return { lines: shown(details, await registry.current()), json: details };
}

function shown(details: VersionDetails, current: string | null): string[] {
  const { version, dataset, test, validation, files, labels, notes } = details;
  const { images } = dataset;
  const interval = test && ` (95 % interval: ${percent(test.interval[0])} to ${percent(test.interval[1])})`;
  return [
    `${versionInWords(details)}${version === current ? '; current' : ''}`,
    ...table(
      [
        ['made', dateInWords(details.createdAt)],
        ['started from', details.startedFrom],
        [
          'data set',
          `${dataset.name}${dataset.synthetic ? ', synthetic' : ''}, ${dataset.hash.slice(0, 16)}` +
            (images
              ? `: ${images.train} images to train on, ${images.val} for validation, ${images.test} for Test`
              : ''),
        ],
        ['Test', test === null ? 'not judged' : `${testInWords(details)}${interval}, loss ${test.loss.toFixed(3)}`],
        [
          'validation',
          validation === null
            ? 'none'
            : `${percent(validation.accuracy)} of ${validation.n} images, loss ${validation.loss.toFixed(3)}, epoch ${details.epoch}`,
        ],
        ['labels', labels.join(', ')],
        ['certificate', proofInWords(details)],
        ['notes', notes.trim() === '' ? 'none' : notes.trim()],
      ].map(([name = '', text = '']) => [`  ${name}`, text]),
      [0, 1],
    ),
    '  files, checksums verified',
    ...table(files.map(({ path, bytes, sha256 }) => [`    ${path}`, megabytes(bytes), sha256.slice(0, 16)])),
  ];
}

async function diff(registry: Registry, [a = '', b = '']: readonly string[]): Promise<Answer> {
  const found = await registry.diff(a, b);
  return { lines: compared(found), json: found };
}

function compared({ a, b, labelsAdded, labelsRemoved, settings, testSets }: VersionDiff): string[] {
  const differing = [
    ['made', dateInWords(a.createdAt), dateInWords(b.createdAt)],
    ['network', a.architecture, b.architecture],
    ['data set', a.dataset.hash.slice(0, 16), b.dataset.hash.slice(0, 16)],
    ['started from', a.startedFrom, b.startedFrom],
    ['classes', String(a.labels.length), String(b.labels.length)],
  ].filter(([, x, y]) => x !== y);
  const figures = [
    ['Test', testInWords(a), testInWords(b)],
    ['validation', ...[a, b].map(({ validation: v }) => (v === null ? '–' : percent(v.accuracy)))],
    ['size', megabytes(a.bytes), megabytes(b.bytes)],
    ['certificate', ...[a, b].map(certificateFigures)],
  ];
  const rows = settings.map((row) => [row.path, row.a ?? '(absent)', row.b ?? '(absent)']);
  return [
    ...table([['', a.version, b.version], ...figures, ...differing, ...rows], [0, 1, 2]),
    ...labelsAdded.map((label) => `+ ${label}`),
    ...labelsRemoved.map((label) => `- ${label}`),
    ...(labelsAdded.length + labelsRemoved.length === 0 ? ['The labels are the same.'] : []),
    ...testSetsInWords({ a, testSets }),
  ];
}

function certificateFigures(one: VersionRecord): string {
  const { certificate } = one;
  const of = certificate === null ? '' : `; ${certificate.flips} of ${count(certificate.images, 'image')} flipped`;
  return proofInShort(one) + of;
}

async function rollback(registry: Registry, [given = '']: readonly string[]): Promise<Answer> {
  const from = await registry.current();
  const { record } = await registry.open(given);
  const to = record.version;
  if (from !== to) await registry.setCurrent(to);
  return {
    lines: [
      from === to ? `${to} is current already.` : `${to} is current now${from === null ? '' : `; it was ${from}`}.`,
      `The app's folder was not touched. To copy ${to} there: npm run sync-model -- --version ${to}`,
      `Certificate of ${to}: ${proofInWords(record)}`,
    ],
    json: { current: to, from },
  };
}

async function notes(registry: Registry, [version = '', text = '']: readonly string[]): Promise<Answer> {
  const { record } = await registry.open(version);
  const kept = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  await registry.setNotes(record.version, kept);
  return { lines: [`The notes of ${record.version} are kept.`], json: { version: record.version, notes: kept } };
}
