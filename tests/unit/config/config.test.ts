import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commentsOf, parseConfig, parseLayer } from '../../../src/config/parse.ts';
import { ConfigError, type ConfigIssue } from '../../../src/config/errors.ts';
import { layerOf } from '../../../src/config/layer.ts';
import { resolveConfig } from '../../../src/config/merge.ts';
import { overridesFromFlags } from '../../../src/config/flags.ts';
import { configToYaml } from '../../../src/config/yamlOut.ts';
import { describeSetting, settingPaths } from '../../../src/config/describe.ts';
import { leafPaths, type ConfigTree } from '../../../src/config/tree.ts';

const baseText = readFileSync('configs/base.yaml', 'utf8');
const base = parseLayer(baseText, { file: 'configs/base.yaml' });

/** The issues that a call throws. */
function issuesOf(call: () => unknown): readonly ConfigIssue[] {
  try {
    call();
  } catch (error) {
    if (error instanceof ConfigError) return error.issues;
    throw error;
  }
  throw new Error('Nothing was thrown.');
}

describe('the files in configs/', () => {
  it('base.yaml is complete and holds the defaults of the original pipeline', () => {
    const config = parseConfig(baseText, { file: 'configs/base.yaml' });
    expect(config.model).toEqual({ architecture: 'densenet121', pretrained: true });
    expect(config.training).toMatchObject({ epochs: 20, learning_rate: 0.001, device: 'auto', verbose: true });
    expect(config.data).toMatchObject({ batch_size: 32, img_size: 224, kaggle_dataset: 'jamesphoward/pacemakers' });
    expect(config.training.augmentation.crop_scale).toEqual([0.9, 1]);
  });

  it('base.yaml has every setting of the schema and no other', () => {
    expect(leafPaths(base.values).sort()).toEqual([...settingPaths].sort());
  });

  it('sample.yaml merges over base.yaml, and each value knows its file', () => {
    const sample = parseLayer(readFileSync('configs/sample.yaml', 'utf8'), { file: 'configs/sample.yaml' });
    const { config, sources } = resolveConfig([base, sample]);
    expect(config.data.source).toBe('sample');
    expect(config.data.num_workers).toBe(4);
    expect(sources.get('data.source')).toBe('configs/sample.yaml');
    expect(sources.get('data.num_workers')).toBe('configs/base.yaml');
  });
});

describe('a file with a mistake', () => {
  const issuesIn = (text: string) => issuesOf(() => parseLayer(text, { file: 'my.yaml' }));

  it('names an unknown key, its line, and the key that was probably meant', () => {
    const [issue, ...others] = issuesIn('# mine\ntraining:\n  epochs: 3\n  learning_rat: 0.1\n');
    expect(others).toEqual([]);
    expect(issue).toMatchObject({ path: 'training.learning_rat', line: 4, column: 3 });
    expect(issue!.message).toContain('did you mean training.learning_rate?');
  });

  it('finds a setting that stands in the wrong section', () => {
    expect(issuesIn('model:\n  img_size: 96\n')[0]!.message).toContain('did you mean data.img_size?');
  });

  it('names an unknown section', () => {
    expect(issuesIn('trainning:\n  epochs: 3\n')[0]).toMatchObject({ path: 'trainning', line: 1 });
    expect(issuesIn('trainning:\n  epochs: 3\n')[0]!.message).toContain('did you mean training?');
  });

  it('says what was found and what is allowed for a wrong type', () => {
    const [issue] = issuesIn('data:\n  batch_size: 16\ntraining:\n  epochs: many\n');
    expect(issue).toMatchObject({ path: 'training.epochs', line: 4 });
    expect(issue!.message).toBe('training.epochs is "many" (text); allowed: a whole number from 1 to 10000.');
  });

  it('refuses a negative learning rate', () => {
    const [issue] = issuesIn('training:\n  learning_rate: -0.1\n');
    expect(issue).toMatchObject({ path: 'training.learning_rate', line: 2 });
    expect(issue!.message).toBe('training.learning_rate is -0.1; allowed: a number greater than 0, at most 10.');
  });

  it('refuses what is not a number, and infinity', () => {
    expect(issuesIn('training:\n  learning_rate: .nan\n')).toHaveLength(1);
    expect(issuesIn('training:\n  learning_rate: .inf\n')).toHaveLength(1);
  });

  it('lists the choices of a choice', () => {
    expect(issuesIn('model:\n  architecture: resnet18\n')[0]!.message).toContain(
      'one of densenet121, resnet50, mobilenet_v3_small, tiny',
    );
  });

  it('names the list, not its member, for a range the wrong way round or of the wrong length', () => {
    const text = (value: string) => `training:\n  augmentation:\n    crop_scale: ${value}\n`;
    expect(issuesIn(text('[1, 0.9]'))[0]).toMatchObject({ path: 'training.augmentation.crop_scale', line: 3 });
    expect(issuesIn(text('[0.9]'))[0]).toMatchObject({ path: 'training.augmentation.crop_scale', line: 3 });
    expect(issuesIn(text('0.9'))[0]!.message).toContain('two numbers in brackets');
  });

  it('says what two settings that are allowed singly need of each other', () => {
    const set = (...flags: string[]) => resolveConfig([base, overridesFromFlags(flags)]).config.training;
    expect(set('training.optimizer=sgd', 'training.nesterov=true').momentum).toBe(0.9);
    const [issue] = issuesOf(() => set('training.optimizer=sgd', 'training.nesterov=true', 'training.momentum=0'));
    expect(issue).toMatchObject({ path: 'training.nesterov', source: 'command line' });
    expect(issue!.message).toBe(
      'training.nesterov needs a momentum: set training.momentum above 0, or training.nesterov to false.',
    );
    // Of sgd: of no meaning for others.
    expect(set('training.nesterov=true', 'training.momentum=0').optimizer).toBe('adam');
  });

  it('names a key that is written twice, and both lines', () => {
    const [issue] = issuesIn('training:\n  epochs: 3\n  verbose: true\n  epochs: 4\n');
    expect(issue).toMatchObject({ path: 'training.epochs', line: 4 });
    expect(issue!.message).toContain('first in line 2');
  });

  it('names the line of a YAML syntax error', () => {
    const [issue] = issuesIn('training:\n  epochs: 3\n  device: "auto\n');
    expect(issue!.message).toContain('not valid YAML');
    expect(issue!.line).toBeGreaterThanOrEqual(3);
  });

  it('names all mistakes at once, in the order of the file', () => {
    const issues = issuesIn('training:\n  epochs: 0\n  colour: red\ndata:\n  img_size: 7\n');
    expect(issues.map(({ path }) => path)).toEqual(['training.epochs', 'training.colour', 'data.img_size']);
    expect(issues.map(({ line }) => line)).toEqual([2, 3, 5]);
  });

  it('refuses a list, a lone word and a section without settings', () => {
    expect(issuesIn('- a\n- b\n')[0]!.message).toContain('no settings');
    expect(issuesIn('hello')[0]!.message).toContain('no settings');
    expect(issuesIn('training:\n')[0]).toMatchObject({ path: 'training', line: 1 });
  });

  it('cannot reach prototypes', () => {
    expect(issuesIn('__proto__:\n  epochs: 3\n')[0]!.path).toBe('__proto__');
    expect(issuesIn('training:\n  constructor: 3\n')[0]!.path).toBe('training.constructor');
    expect(({} as ConfigTree).epochs).toBeUndefined();
  });

  it('says which settings are missing where a whole file is asked for', () => {
    const issues = issuesOf(() => parseConfig('model:\n  architecture: tiny\n', { file: 'my.yaml' }));
    expect(issues.map(({ path }) => path)).toContain('training');
    expect(issues.map(({ path }) => path)).toContain('model.pretrained');
  });

  it('puts file, line and setting into the message that the user reads', () => {
    const error = (() => {
      try {
        return parseLayer('training:\n  epochs: -1\n', { file: 'my.yaml' });
      } catch (thrown) {
        return thrown as ConfigError;
      }
    })() as ConfigError;
    expect(error.name).toBe('ConfigError');
    expect(error.message).toBe('my.yaml, line 2: training.epochs is -1; allowed: a whole number from 1 to 10000.');
  });

  it('follows anchors', () => {
    const layer = parseLayer('data:\n  seed: &s 5\ntraining:\n  seed: *s\n', { file: 'my.yaml' });
    expect(layer.values).toEqual({ data: { seed: 5 }, training: { seed: 5 } });
  });
});

describe('layers', () => {
  it('an empty file changes nothing', () => {
    const empty = parseLayer('# nothing yet\n', { file: 'my.yaml' });
    expect(resolveConfig([base, empty]).config).toEqual(resolveConfig([base]).config);
  });

  it('lists are replaced whole, sections are merged', () => {
    const over = layerOf('page', { training: { augmentation: { scale: [1, 1] } } });
    const { config, sources } = resolveConfig([base, over]);
    expect(config.training.augmentation.scale).toEqual([1, 1]);
    expect(config.training.augmentation.shear).toBe(5);
    expect(sources.get('training.augmentation.scale')).toBe('page');
  });

  it('a wrong value from the page is named with its source', () => {
    const [issue] = issuesOf(() => resolveConfig([base, layerOf('page', { training: { epochs: 0 } })]));
    expect(issue).toMatchObject({ path: 'training.epochs', source: 'page', line: null });
  });

  it('cuda means auto', () => {
    expect(parseConfig('training:\n  device: cuda\n', { file: 'seed.yaml', over: [base] }).training.device).toBe(
      'auto',
    );
  });
});

describe('overrides on a command line', () => {
  it('are paths and values, the first = between them', () => {
    expect(overridesFromFlags(['training.epochs=30', 'output.description=a=b']).values).toEqual({
      training: { epochs: 30 },
      output: { description: 'a=b' },
    });
    expect(issuesOf(() => overridesFromFlags(['training.epochs']))[0]!.message).toContain('has no value');
  });
});

describe('the effective configuration as a file', () => {
  it('reads back to the same values, odd text included', () => {
    const { config } = resolveConfig([
      base,
      layerOf('page', {
        output: { author: '  - "O\'Neill": #1\nü 日本 ', version: '1.10.0', description: 'null' },
        data: { raw_dir: 'true' },
      }),
    ]);
    const text = configToYaml(config);
    expect(text.startsWith('#')).toBe(true);
    expect(parseConfig(text, { file: 'settings.yaml' })).toEqual(config);
  });
});

describe('class weights', () => {
  const weightsOf = (...texts: readonly string[]) =>
    resolveConfig([
      base,
      ...texts.map((text, i) => parseLayer(`training:\n  class_weights: ${text}\n`, { file: `${i}.yaml` })),
    ]);

  it('are one value: a later map replaces an earlier one, whatever is in its names', () => {
    const { config, sources } = weightsOf('{A: 2, B: 3}', '{ü.v1: 0.5, 7: 4}');
    expect(config.training.class_weights).toEqual({ 'ü.v1': 0.5, 7: 4 });
    expect(sources.get('training.class_weights')).toBe('1.yaml');
    expect(weightsOf('{A: 2}', 'balanced').config.training.class_weights).toBe('balanced');
    expect(weightsOf('{A: 2}', 'null').config.training.class_weights).toBeNull();
    expect(leafPaths(config as unknown as ConfigTree).sort()).toEqual([...settingPaths].sort());
    expect(parseConfig(configToYaml(config), { file: 'settings.yaml' })).toEqual(config);
  });

  it('that are none are refused, in a file and on a command line', () => {
    for (const [text, found] of [
      ['{A.b: 2, C: 0}', '{A.b: 2, C: 0}'],
      ['{A: many}', '{A: many}'],
      ['{A: [1]}', 'a section'],
      ['even', '"even" (text)'],
      ['3', '3'],
    ] as const) {
      const [issue, ...others] = issuesOf(() => weightsOf(text));
      expect(others).toEqual([]);
      expect(issue).toMatchObject({ path: 'training.class_weights', line: 2 });
      expect(issue!.message).toContain(`training.class_weights is ${found}; allowed: balanced, or a number from`);
    }
    const [issue] = issuesOf(() => overridesFromFlags(['training.class_weights={A.b: -1}']));
    expect(issue!.message).toContain('training.class_weights is {A.b: -1}');
  });

  it('are set on a command line as they are written in a file', () => {
    const of = (text: string) =>
      resolveConfig([base, overridesFromFlags([`training.class_weights=${text}`])]).config.training.class_weights;
    expect(of('{Rare: 5, "A, B": 0.5}')).toEqual({ Rare: 5, 'A, B': 0.5 });
    expect(of('balanced')).toBe('balanced');
    expect(of('null')).toBeNull();
  });
});

describe('descriptions', () => {
  it('exist for every setting', () => {
    for (const path of settingPaths) expect(describeSetting(path)!.allowed).not.toBe('');
    expect(describeSetting('training.learning_rat')).toBeNull();
  });

  it('carry bounds, choices, null and the words of the schema’s own messages', () => {
    expect(describeSetting('training.batchnorm_batch')).toMatchObject({
      kind: 'integer',
      minimum: 2,
      maximum: 1024,
      nullable: true,
      allowed: 'a whole number from 2 to 1024, or null',
    });
    expect(describeSetting('data.geometry')).toMatchObject({ kind: 'choice', choices: ['center_crop', 'squash'] });
    expect(describeSetting('output.version')!.allowed).toBe('text: three numbers, as in 1.0.0');
  });

  it('say what stands in a map, and where a number ends', () => {
    expect(describeSetting('training.class_weights')).toMatchObject({
      kind: 'weights',
      choices: ['balanced'],
      nullable: true,
      allowed: 'balanced, or a number from 0.000001 to 1000000 for each of some classes, as in {Rare: 5}, or null',
    });
    expect(describeSetting('training.label_smoothing')!.allowed).toBe('a number, at least 0 and less than 1');
  });

  it('take their help from the comments of base.yaml', () => {
    const comments = commentsOf(baseText);
    expect(comments.get('data.img_size')).toBe('pixels, square');
    expect(comments.get('training.layers')).toContain('the backbone stays as it is');
    expect(comments.get('training.augmentation')).toContain('RandomResizedCrop');
  });
});
