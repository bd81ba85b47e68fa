import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { layerOf } from '../../../src/config/layer.ts';
import { readLink, writeLink } from '../../../src/config/link.ts';
import { resolveConfig } from '../../../src/config/merge.ts';
import { parseLayer } from '../../../src/config/parse.ts';
import type { ConfigTree } from '../../../src/config/tree.ts';

const layerAt = (file: string) => parseLayer(readFileSync(file, 'utf8'), { file });
const base = layerAt('configs/base.yaml');
const sample = layerAt('configs/sample.yaml');

const messagesOf = (search: string) => readLink(search).issues.map(({ message }) => message);

describe('a link', () => {
  it('says nothing, and then the page is as it is', () => {
    const { link, issues } = readLink('');
    expect(issues).toEqual([]);
    expect(link).toMatchObject({ demo: false, dataset: null, model: null, overrides: { values: {} } });
  });

  it('asks for the sample, a data set, a model', () => {
    expect(readLink('?demo').link).toMatchObject({ demo: true, dataset: null, model: null });
    expect(readLink('?demo=').link.demo).toBe(true);
    expect(readLink('?demo=true').link.demo).toBe(true);
    expect(readLink('?dataset=sets/x.zip').link).toMatchObject({ demo: false, dataset: 'sets/x.zip', model: null });
    expect(readLink('?dataset=sets%2Fmy%20set.zip&model=https://huggingface.co/a/b/resolve/main/m.zip').link).toEqual(
      expect.objectContaining({
        demo: false,
        dataset: 'sets/my set.zip',
        model: 'https://huggingface.co/a/b/resolve/main/m.zip',
      }),
    );
    expect(readLink('?demo&model=m.zip')).toMatchObject({ link: { demo: true, model: 'm.zip' }, issues: [] });
  });

  it('asks for the profile of a step', () => {
    expect(readLink('').link.profile).toBe(false);
    expect(readLink('?profile&demo')).toMatchObject({ link: { profile: true, demo: true }, issues: [] });
    expect(messagesOf('?profile=3')).toEqual(['profile is "3"; allowed: profile alone, without a value.']);
  });

  it('sets settings, typed by the schema', () => {
    const valuesOf = (search: string) => readLink(search).link.overrides.values;
    expect(
      valuesOf('?training.epochs=30&data.batch_size=16&training.learning_rate=3e-4&model.pretrained=false'),
    ).toEqual({
      training: { epochs: 30, learning_rate: 0.0003 },
      data: { batch_size: 16 },
      model: { pretrained: false },
    });
    expect(valuesOf('?demo&training.batchnorm_batch=null')).toEqual({ training: { batchnorm_batch: null } });
    for (const range of ['0.8,1', '[0.8,1.0]', '0.8%2C1'])
      expect(valuesOf(`?training.augmentation.crop_scale=${range}`)).toEqual({
        training: { augmentation: { crop_scale: [0.8, 1] } },
      });
    expect(valuesOf('?output.author=42&output.version=1.2.3')).toEqual({ output: { author: '42', version: '1.2.3' } });
    expect(readLink('?training.epochs=3').link.overrides.source).toBe('address');
  });

  it('may carry what mail programs and social networks hang on to it', () => {
    const { link, issues } = readLink('?utm_source=mail&utm_campaign=x&fbclid=1&gclid=2&msclkid=3&mc_cid=4&demo');
    expect(issues).toEqual([]);
    expect(link.demo).toBe(true);
  });

  it('that says what it cannot say is told what was probably meant', () => {
    expect(messagesOf('?dmeo')).toEqual(['dmeo is nothing that a link can say; did you mean demo?']);
    expect(messagesOf('?Demo')).toEqual(['Demo is nothing that a link can say; did you mean demo?']);
    expect(messagesOf('?data_set=x.zip')).toEqual(['data_set is nothing that a link can say; did you mean dataset?']);
    expect(messagesOf('?modell=x.zip')).toEqual(['modell is nothing that a link can say; did you mean model?']);
    expect(messagesOf('?epochs=3')).toEqual(['epochs is nothing that a link can say; did you mean training.epochs?']);
    expect(messagesOf('?colour=red')).toEqual([
      'colour is nothing that a link can say; it can say demo, dataset, model, profile, and settings.',
    ]);
    expect(messagesOf('?training.epoch=3')).toEqual(['training.epoch is no setting; did you mean training.epochs?']);
    expect(messagesOf('?trianing.epochs=3')).toEqual(['trianing.epochs is no setting; did you mean training.epochs?']);
    expect(messagesOf('?training=3')).toEqual(['training is a section; give one of its settings.']);
  });

  it('with a wrong value is told what is allowed', () => {
    expect(messagesOf('?training.epochs=lots')).toEqual([
      'training.epochs is "lots" (text); allowed: a whole number from 1 to 10000.',
    ]);
    expect(messagesOf('?training.epochs=')).toEqual([
      'training.epochs is nothing (null); allowed: a whole number from 1 to 10000.',
    ]);
    expect(messagesOf('?demo=please')).toEqual(['demo is "please"; allowed: demo alone, without a value.']);
    expect(messagesOf('?dataset')).toEqual([
      'dataset is ""; allowed: the address of a zip, such as dataset=sets/x.zip.',
    ]);
    expect(messagesOf('?training.epochs=3&training.epochs=4')).toEqual([
      'training.epochs is given twice; the first one counts.',
    ]);
    expect(messagesOf('?model=a.zip&model=b.zip')).toEqual(['model is given twice; the first one counts.']);
  });

  it('counts in all that is right in it', () => {
    const { link, issues } = readLink('?dmeo&training.epochs=lots&data.batch_size=8&data.batch_size=9&model=m.zip');
    expect(issues.map(({ path }) => path)).toEqual(['dmeo', 'training.epochs', 'data.batch_size']);
    expect(link).toMatchObject({ demo: false, model: 'm.zip', overrides: { values: { data: { batch_size: 8 } } } });
  });

  it('cannot bring the sample and another data set', () => {
    const { link, issues } = readLink('?dataset=sets/x.zip&demo');
    expect(link).toMatchObject({ demo: true, dataset: null });
    expect(issues[0]?.message).toBe(
      'demo and dataset don’t go together: demo brings the sample data set. The sample is used; leave demo out for sets/x.zip.',
    );
  });

  it('is not led into an object’s own members', () => {
    expect(messagesOf('?__proto__=1&constructor=2&toString=3')).toHaveLength(3);
    expect(messagesOf('?__proto__.demo=1')).toHaveLength(1);
    expect(readLink('?__proto__.demo=1').link.demo).toBe(false);
  });
});

describe('a link that is shared', () => {
  const none = { demo: false, dataset: null, model: null };
  const shared = (what: typeof none | Record<string, unknown>, edits: ConfigTree) => {
    const under = what.demo === true ? [base, sample] : [base];
    const byItself = resolveConfig(under).config;
    const effective = resolveConfig([...under, layerOf('page', edits)]).config;
    return { ...writeLink({ ...none, ...what }, effective, byItself), effective, under };
  };

  it('names what a page would not have by itself, and nothing else', () => {
    expect(shared({}, {})).toMatchObject({ query: '', settings: [] });
    expect(shared({ demo: true }, {})).toMatchObject({ query: '?demo', settings: [] });
    expect(shared({ demo: true }, { data: { img_size: 64 }, training: { epochs: 3 } })).toMatchObject({
      query: '?demo&training.epochs=3',
      settings: ['training.epochs'],
    });
    expect(shared({ dataset: 'sets/my set.zip', model: 'https://huggingface.co/m.zip?a=1&b' }, {}).query).toBe(
      '?dataset=sets/my%20set.zip&model=https://huggingface.co/m.zip%3Fa%3D1%26b',
    );
  });

  it('brings another page to the same configuration, whatever the values', () => {
    const edits: ConfigTree = {
      data: { seed: 0, img_size: 32, geometry: 'squash', validation_split: 0.05 },
      model: { architecture: 'tiny', pretrained: false },
      training: {
        learning_rate: 1e-7,
        batchnorm_batch: 8,
        layers: 'head',
        class_weights: { 'ABB - Ash & “ü”, v1.2': 0.5, 7: 3 },
        augmentation: { crop_scale: [0.5, 0.9], enabled: false },
      },
      output: { author: 'Ünal & “Söhne” = 100 % + #1 日本', description: '', keep_checkpoints: 2, version: '1.10.0' },
    };
    for (const what of [none, { ...none, demo: true }]) {
      const { query, effective, under } = shared(what, edits);
      const { link, issues } = readLink(query);
      expect(issues).toEqual([]);
      expect(resolveConfig([...under, link.overrides]).config).toEqual(effective);
      expect(link).toMatchObject(what);
    }
  });

  it('takes back what the sample changes', () => {
    const { query } = shared({ demo: true }, { model: { pretrained: true }, training: { learning_rate: 0.001 } });
    expect(query).toBe('?demo&model.pretrained=true&training.learning_rate=0.001');
  });
});
