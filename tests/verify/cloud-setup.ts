/**
 * The rented machine, from zero: a clean Debian 12 (debootstrap, needs root), cloud/setup.sh in it, the task's own run command.
 *
 * Into the new root go the host's settings for package mirrors, a checkout of HEAD (`git archive`) and Mesa's lavapipe, which
 * stands for a GPU's driver. At `/pacerid` lies a bucket of an S3 server on loopback, mounted by rclone with SkyPilot's flags. The
 * run command of cloud/train.sky.yaml trains the sample data set, is killed in mid-epoch with all that it started, the mount too,
 * and what the mount had not uploaded is deleted. Called again as it is, it must go on from its last checkpoint and get over 90 %
 * on Test. Last, a few steps with training.device=webgpu.
 *
 * `--base DIR` takes a copy of a root that debootstrap made before; `--keep` leaves the new root.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parse } from 'yaml';
import { aptInstall } from '../../scripts/system.mjs';
import { inBucket, openBucket, type Bucket } from './headless/bucket.ts';
import { option } from './headless/trainer.ts';

if (process.getuid?.() !== 0) end(2, 'This needs root: it makes a root folder with debootstrap and changes into it.');

interface Task {
  readonly envs: Readonly<Record<string, string | null>>;
  readonly setup: string;
  readonly run: string;
  readonly file_mounts: {
    readonly '/pacerid': { readonly config: { readonly mount_cached: Readonly<Record<string, string | number>> } };
  };
}
const task = parse(readFileSync('cloud/train.sky.yaml', 'utf8')) as Task;
const folder = mkdtempSync(join(tmpdir(), 'pacerid-clean-'));
let bucket: Bucket | null = null;
process.on('exit', () => {
  bucket?.lose();
  if (process.argv.includes('--keep')) console.log(`The root is ${root}.`);
  else rmSync(folder, { recursive: true, force: true });
});
const root = join(folder, 'root');
/** Where SkyPilot puts the working directory. */
const workdir = '/root/sky_workdir';
const run = 'runs/pacerid';
const seconds: Record<string, number> = {};
/** Of this process's variables only what leads to the network. */
const network = Object.fromEntries(
  Object.entries(process.env).filter(([name]) =>
    /proxy$|^npm_config_registry$|^(NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|SSL_CERT_DIR|CURL_CA_BUNDLE)$/i.test(name),
  ),
);

await timed('debootstrap', makeRoot);
await timed('driver', installLavapipe);
await timed('setup', async () => {
  const said = await inRoot(task.setup);
  expect(/llvmpipe/.test(said), 'the set-up names the adapter');
});
await timed('setup again', async () => {
  const said = await inRoot(task.setup);
  expect(/npm packages are there/.test(said) && !/installing/.test(said), 'a second set-up finds everything there');
});

const store = await timed('bucket', () => openBucket(folder, task.file_mounts['/pacerid'].config.mount_cached));
bucket = store;
const killed = await timed('killed run', () => killInMidEpoch(store));
const metrics = await timed('resumed run', () => goOn(store, killed.saved));
const gpu = await timed('webgpu', trainOnWebGpu);

const accuracy = (100 * metrics.test.accuracy).toFixed(1);
end(
  0,
  `\n${new Date().toISOString().slice(0, 10)}: clean Debian 12, set-up in ${seconds.setup} s (again: ${seconds['setup again']} s); killed in ` +
    `epoch ${killed.epoch}, resumed after epoch ${killed.saved}, ${accuracy} % on Test (n = ${metrics.test.n}); webgpu on ${gpu}`,
);

/** debootstrap's smallest Debian, and what this machine knows of mirrors, proxies and certificates. */
function makeRoot(): Promise<void> {
  const base = option('base');
  mkdirSync(root, { recursive: true });
  if (base !== undefined) {
    must('cp', ['-a', `${base}/.`, root]);
  } else {
    if (spawnSync('debootstrap', ['--version']).error) {
      const failure = aptInstall(['debootstrap']);
      if (failure) end(2, `debootstrap could not be installed: ${failure}`);
    }
    const sources = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'].filter(existsSync);
    const text = sources.map((path) => readFileSync(path, 'utf8')).join('\n');
    const mirror = /^URIs: (\S+)/m.exec(text)?.[1] ?? /^deb (?:\[.*?\] )?(\S+)/m.exec(text)?.[1];
    must('debootstrap', ['--variant=minbase', 'bookworm', root, mirror ?? 'http://deb.debian.org/debian']);
  }
  const settings = [
    '/etc/apt',
    '/usr/share/keyrings',
    '/etc/ssl/certs',
    '/usr/local/share/ca-certificates',
    '/etc/resolv.conf',
    '/etc/hosts',
    '/root/.npmrc',
  ];
  // debootstrap's own list; this machine's may be elsewhere.
  rmSync(join(root, '/etc/apt/sources.list'), { force: true });
  for (const path of settings) {
    if (existsSync(path)) cpSync(path, join(root, path), { recursive: true, force: true, dereference: true });
  }
  mkdirSync(join(root, workdir), { recursive: true });
  mkdirSync(join(root, '/pacerid'), { recursive: true });
  must('sh', ['-c', `git archive HEAD | tar -x -C '${join(root, workdir)}'`]);
  return Promise.resolve();
}

/** Debian 12's own Mesa is too old for Dawn. */
async function installLavapipe(): Promise<void> {
  const list = join(root, 'etc/apt/sources.list.d/backports.sources');
  const mirror = /^URIs: (\S+)/m.exec(readFileSync(join(root, 'etc/apt/sources.list.d/debian.sources'), 'utf8'))?.[1];
  writeFileSync(
    list,
    `Types: deb\nURIs: ${mirror}\nSuites: bookworm-backports\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n`,
  );
  await inRoot(
    'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends -t bookworm-backports mesa-vulkan-drivers >/dev/null',
  );
}

/** Answers with the epoch in whose middle all of it was killed, and the last one whose checkpoint is in the bucket. */
async function killInMidEpoch(bucket: Bucket): Promise<{ epoch: number; saved: number }> {
  await bucket.mount(join(root, 'pacerid'));
  const child = startInRoot(task.run, sample());
  const dead = new Promise((resolve) => child.once('close', resolve));
  let checkpoints = 0;
  let epoch = 0;
  for await (const event of eventsOf(child)) {
    if (event.type === 'checkpointSaved') checkpoints++;
    if (event.type === 'step' && checkpoints >= 3 && (event.step as number) >= 20) {
      epoch = event.epoch as number;
      bucket.lose();
      process.kill(-child.pid!, 'SIGKILL');
      break;
    }
  }
  expect(epoch > 1, 'the run got into an epoch after its third checkpoint');
  await dead;
  const { latestEpoch: saved } = JSON.parse(readFileSync(fromBucket('run.json'), 'utf8')) as { latestEpoch: number };
  // Uploads start a second after a file was closed: on a fast machine the newest checkpoint may have missed its ship.
  expect(saved === epoch - 1 || saved === epoch - 2, `killed in epoch ${epoch}, with epoch ${saved} in the bucket`);
  return { epoch, saved };
}

interface Metrics {
  readonly test: { readonly accuracy: number; readonly n: number };
  readonly epochs: readonly unknown[];
  readonly adapter: unknown;
}

/** The same command once more. */
async function goOn(bucket: Bucket, saved: number): Promise<Metrics> {
  await bucket.mount(join(root, 'pacerid'));
  const child = startInRoot(task.run, sample());
  const epochs: number[] = [];
  for await (const event of eventsOf(child)) if (event.type === 'epochStarted') epochs.push(event.epoch as number);
  await ended(child);
  await bucket.close();
  expect(epochs[0] === saved + 1, `it went on with epoch ${epochs[0]}, after epoch ${saved}`);
  const metrics = JSON.parse(readFileSync(fromBucket('metrics.json'), 'utf8')) as Metrics;
  expect(metrics.test.accuracy > 0.9, `${metrics.test.accuracy} on Test`);
  fromBucket('PacerIDClassifier.mlpackage/Manifest.json');
  fromBucket('PacerIDClassifier.mlpackage/Data/com.apple.CoreML/weights/weight.bin');
  return metrics;
}

function fromBucket(name: string): string {
  return inBucket(folder, `${run}/${name}`) ?? end(1, `${name} is not in the bucket.`);
}

async function trainOnWebGpu(): Promise<string> {
  const small = [
    'training.device=webgpu',
    'training.epochs=1',
    'data.img_size=32',
    'data.sample.size=64',
    'data.sample.train_per_class=6',
    'data.sample.test_per_class=2',
    'output.dir=/tmp/webgpu',
  ];
  await inRoot(
    `npm run --silent train -- --config configs/sample.yaml ${small.map((one) => `--set ${one}`).join(' ')}`,
  );
  const { adapter } = JSON.parse(readFileSync(join(root, '/tmp/webgpu/metrics.json'), 'utf8')) as Metrics;
  const text = JSON.stringify(adapter);
  expect(/llvmpipe/.test(text), `the adapter was ${text}`);
  return /llvmpipe: [^"\\(]*/.exec(text)?.[0].trim() ?? text;
}

// ── How it is done ──

/** The task's variables for the sample data set, as SkyPilot hands them over. */
function sample(): Record<string, string> {
  const given = { PACERID_BUCKET: 's3://unused', CONFIG: 'configs/sample.yaml', DATA: '', EXTRA: '--json' };
  return { ...(task.envs as Record<string, string>), ...given };
}

/** In a mount namespace of its own: what is mounted goes with the process. A group of its own: it can be killed as a whole. */
function startInRoot(script: string, env: Readonly<Record<string, string>> = {}) {
  const mounts = `mount -t proc proc '${root}/proc' && mount --bind /dev '${root}/dev'`;
  const shell = `exec chroot '${root}' /bin/bash -c 'cd ${workdir} && exec /bin/bash -c "$SCRIPT"'`;
  return spawn('unshare', ['--mount', 'sh', '-c', `${mounts} && ${shell}`], {
    env: {
      ...network,
      HOME: '/root',
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      LANG: 'C.UTF-8',
      ...env,
      SCRIPT: script,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
}

/** Runs to the end, shows its output, answers with it. */
async function inRoot(script: string): Promise<string> {
  const child = startInRoot(script);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    process.stdout.write(text);
  });
  await ended(child);
  return said;
}

function ended(child: ReturnType<typeof startInRoot>): Promise<void> {
  return new Promise((resolve, reject) => {
    const close = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (code === 0) resolve();
      else reject(new Error(`It ended with ${signal ?? `exit code ${code}`}.`));
    };
    if (child.exitCode !== null || child.signalCode !== null) close(child.exitCode, child.signalCode);
    else child.once('close', close);
  });
}

/** What a trainer with --json writes. Other lines are shown. */
async function* eventsOf(
  child: ReturnType<typeof startInRoot>,
): AsyncGenerator<{ type: string } & Record<string, unknown>> {
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) yield JSON.parse(line) as { type: string };
    else console.log(line);
  }
}

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  console.log(`\n── ${name} ──`);
  const start = performance.now();
  const result = await work();
  seconds[name] = Math.round((performance.now() - start) / 1000);
  console.log(`${name}: ${seconds[name]} s`);
  return result;
}

function must(program: string, args: readonly string[]): void {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) end(1, `${program} ${args.join(' ')}: ${error ?? `exit code ${status}`}`);
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`Not so: ${what}.`);
}

function end(code: number, text: string): never {
  console.log(text);
  process.exit(code);
}
