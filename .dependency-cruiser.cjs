/** Who may import whom (docs/architecture.md). Leaves that everyone may import: elementary.ts, errors.ts, hosts.ts, random.ts, turn.ts, zod.ts, any settings.ts. */
const leaves = '^src/(elementary|errors|hosts|random|turn|zod)\\.ts$|^src/[^/]+/settings\\.ts$';

/** Room → the rooms of ours that it may look into, beside itself and the leaves. */
const allowed = {
  app: ['workers', 'config', 'serviceWorker/(control|messages)'],
  demo: [
    'app/(components/(predict|charts)/[^/]+|format|keepFocus|pixels|tokens)',
    'serviceWorker/(control|messages)',
    'export/demo',
    'architectures',
    'dataset',
    'engine/(inference|errors|types)',
    'evaluation',
    'weights',
    'platform/browser',
  ],
  serviceWorker: [],
  workers: ['[^/]+'],
  cli: ['[^/]+'],
  registry: ['architectures', 'export', 'parity', 'training'],
  training: ['evaluation', 'dataset', 'engine', 'weights', 'graph'],
  evaluation: ['dataset', 'engine', 'graph/types'],
  export: ['weights', 'graph', 'dataset/types', 'parity/types'],
  engine: ['graph'],
  weights: ['graph', 'dataset/types'],
  architectures: ['graph'],
  dataset: [],
  parity: [],
  graph: [],
  config: [],
};

const rooms = Object.entries(allowed)
  .filter(([, into]) => !into.includes('[^/]+'))
  .map(([room, into]) => ({
    name: `${room}-imports`,
    comment: `${room}/ may import ${into.length > 0 ? into.join(', ') : 'no other room'} and the leaves (docs/architecture.md).`,
    severity: 'error',
    from: { path: `^src/${room}/` },
    to: { path: '^src/', pathNot: [leaves, ...[room, ...into].map((name) => `^src/${name}(/|\\.ts$|\\.css$|$)`)] },
  }));

module.exports = {
  forbidden: [
    ...rooms,
    {
      name: 'platform-knows-interfaces-only',
      comment:
        'platform/ fulfils interfaces that rooms declare: it may import their types and their named errors, no code.',
      severity: 'error',
      from: { path: '^src/platform/' },
      to: {
        path: '^src/',
        pathNot: [leaves, '^src/platform/', '/(types|errors|events|protocol)\\.ts$'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'platform-browser-or-node',
      comment: 'What runs in the browser and what runs in Node share nothing but files directly in platform/.',
      severity: 'error',
      from: { path: '^src/platform/(browser|node)/' },
      to: { path: '^src/platform/(browser|node)/', pathNot: '^src/platform/$1/' },
    },
    {
      name: 'page-imports-no-node-code',
      severity: 'error',
      from: { path: '^src/(app|workers|demo)/' },
      to: { path: '^src/(platform/node|cli)/' },
    },
    {
      name: 'no-one-imports-the-roots',
      comment:
        'app, demo, workers and cli are roots; only app knows workers, and of them the clients and the protocol; demo shows ' +
        'what app shows.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(app|demo|workers|cli)/' },
      to: { path: '^src/(app|demo|workers|cli)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'node-only-where-node-is',
      comment: 'Rooms run in a worker too: Node’s modules are for platform/node and cli.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(platform/node|cli)/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'plans-know-no-kernels',
      comment:
        'A plan of the compiled engine, and what it is made of, is free of WGSL and of the device: another set of kernels can stand ' +
        'behind it.',
      severity: 'error',
      from: { path: '^src/engine/compiled/(plan/|(calls|memory|kernels|update|fit|augmentedInput)\\.ts$)' },
      to: { path: '^src/engine/compiled/(wgsl|device)/|^src/engine/compiled/(engine|network|flatStore)\\.ts$' },
    },
    {
      name: 'kernels-know-no-plan',
      comment: 'A kernel carries out a call; who made it, and what runs it, is none of its business.',
      severity: 'error',
      from: { path: '^src/engine/compiled/wgsl/' },
      to: { path: '^src/engine/compiled/(plan|device)/|^src/engine/compiled/(engine|network|flatStore|fit)\\.ts$' },
    },
    {
      name: 'compiled-beside-reference',
      comment:
        'The compiled engine has none of tfjs, and of the runtime by which it is judged only what both share: optimisers, loss, the ' +
        'constant of clipping.',
      severity: 'error',
      from: { path: '^src/engine/compiled/' },
      to: {
        path: '^src/engine/reference/|^node_modules/@tensorflow/',
        pathNot: '^src/engine/reference/(optimisers/|(loss|update)\\.ts$)',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'one-zod',
      comment: 'Import z from src/zod.ts: it tells zod to do without eval before the first schema is made.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/zod\\.ts$' },
      to: { path: '^node_modules/zod/' },
    },
    {
      name: 'svelte-in-pages-only',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(app|demo)/' },
      to: { path: '^node_modules/(svelte|bits-ui|uplot)/' },
    },
    {
      name: 'no-tests-in-the-product',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(tests|scripts)/' },
    },
    {
      name: 'no-cycles',
      comment: 'Nor of types alone: what two files share is a file that neither needs the other for.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '\\?(raw|url|worker)$' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'browser', 'svelte', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.svelte'],
    },
  },
};
