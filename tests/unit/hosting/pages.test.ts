import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { loadConfigFromFile } from 'vite';
import { parse } from 'yaml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}
interface Job {
  readonly needs?: string;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly environment?: { readonly name: string; readonly url: string };
  readonly steps: readonly (Step & { readonly id?: string })[];
}
interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly concurrency: Readonly<Record<string, unknown>>;
  readonly jobs: Readonly<Record<'build' | 'deploy', Job>>;
}
const workflow = parse(readFileSync('.github/workflows/pages.yml', 'utf8')) as Workflow;
const { build, deploy } = workflow.jobs;
const { scripts, engines } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  scripts: Readonly<Record<string, string>>;
  engines: { node: string };
};

it('runs nothing but commands of this repository, in an order that can work', () => {
  const commands = build.steps.flatMap(({ run }) => (run === undefined ? [] : [run]));
  expect(commands).toEqual(['npm ci', 'npm run check', 'npm run fetch-weights -- $WEIGHTS', 'npm run build']);
  for (const command of commands.slice(1)) {
    const script = scripts[/^npm run (\S+)/.exec(command)?.[1] ?? ''];
    const file = /^node (\S+)/.exec(script ?? '')?.[1];
    expect([command, existsSync(file ?? '')]).toEqual([command, true]);
  }
});

it('uploads what the build writes, and nothing else', async () => {
  const upload = build.steps.at(-1);
  expect(upload?.uses).toMatch(/^actions\/upload-pages-artifact@v\d+$/);
  const config = await loadConfigFromFile({ command: 'build', mode: 'production' }, 'vite.config.ts');
  expect(resolve(String(upload?.with?.path))).toBe(resolve(config?.config.build?.outDir ?? 'dist'));
  // What is built isn't in the repository: it is what the step before it built.
  expect(spawnSync('git', ['check-ignore', '-q', 'dist']).status).toBe(0);
});

it('pins the actions of GitHub to a major version, and takes a Node that package.json allows', () => {
  const used = [...build.steps, ...deploy.steps].flatMap(({ uses }) => (uses === undefined ? [] : [uses]));
  expect(used).toHaveLength(4);
  for (const action of used) expect(action).toMatch(/^actions\/[a-z-]+@v\d+$/);
  const node = build.steps.find(({ uses }) => uses?.startsWith('actions/setup-node@'))?.with?.['node-version'];
  expect(engines.node).toBe(`>=${String(node)}.19`);
});

it('may read the code, and only the deployment may write, to Pages alone', () => {
  expect(workflow.permissions).toEqual({ contents: 'read' });
  expect(build.permissions).toBeUndefined();
  expect(deploy.permissions).toEqual({ pages: 'write', 'id-token': 'write' });
  expect(deploy).toMatchObject({ needs: 'build', environment: { name: 'github-pages' } });
  expect(deploy.environment?.url).toContain(`steps.${deploy.steps[0]?.id}.outputs.page_url`);
  expect(workflow.concurrency).toEqual({ group: 'pages', 'cancel-in-progress': false });
});
