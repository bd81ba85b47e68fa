import { expect, it } from 'vitest';
import { allowedHosts } from '../../../src/hosts.ts';
import { appPolicy, policyOf } from '../../../src/serviceWorker/policy.ts';

const connects = (policy: string | undefined): string | undefined => /connect-src ([^;]*)/.exec(policy ?? '')?.[1];

it('a page talks to its own origin and to the hosts that it is given, by either way that it is told', () => {
  const app = ["'self'", ...allowedHosts.map(({ source }) => source)].join(' ');
  for (const [policy, sources] of [
    [policyOf([]), "'self'"],
    [appPolicy, app],
  ] as const)
    for (const written of [policy.meta, policy.headers['Content-Security-Policy']])
      expect(connects(written)).toBe(sources);
});
