import type { Policy } from './policy.ts';

/** Bodies that a `Response` must be made without. */
const WITHOUT_BODY = new Set([101, 204, 205, 304]);

/** The same response with a policy's headers. */
export function underPolicy(response: Response, policy: Policy['headers']): Response {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(policy)) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(WITHOUT_BODY.has(status) ? null : response.body, { status, statusText, headers });
}
