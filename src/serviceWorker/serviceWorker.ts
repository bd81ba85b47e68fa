/// <reference lib="webworker" />
import type { PageMessage, TakeOver } from './messages.ts';
import { pageFiles, type PageFile } from './pageFiles.ts';
import type { Policy } from './policy.ts';
import { underPolicy } from './underPolicy.ts';

/**
 * Two jobs: the page opens without a network, and it and its workers run under a policy that lets nothing out. So the first one takes
 * the page over at once and fetches its files afterwards, when the page asks for it; a newer one fetches all of its files first, and
 * waits until the user lets it take over: a run is never cut off, and no tab ever meets files of two builds.
 */
declare const self: ServiceWorkerGlobalScope & { readonly __WB_MANIFEST: readonly PageFile[] };

/** Of the page that this one is built for (scripts/offlinePage.ts). */
declare const POLICY_HEADERS: Policy['headers'];

const { scope } = self.registration;
/** A cache a folder: on one origin lie several such pages, below each other even, and each forgets what isn't its own. */
const files = pageFiles(caches, `pacerid-page ${scope}`, scope, self.__WB_MANIFEST);

/** Scripts and documents that get a policy of their own; whatever they load then falls under it. */
const POLICED = new Set<RequestDestination>(['document', 'iframe', 'frame', 'worker', 'sharedworker']);

self.addEventListener('install', (event) => {
  if (self.registration.active === null) event.waitUntil(self.skipWaiting());
  else
    event.waitUntil(
      files
        .store(() => undefined)
        .then(({ failure }) => {
          // Thrown away whole: the browser tries again at its next look.
          if (failure !== null) throw new Error(failure);
        }),
    );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(Promise.all([self.clients.claim(), files.forgetOthers()]));
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  // What else lies below this folder is none of this page's business: a whole site, where it lies at the root of a host.
  if (request.method !== 'GET' || !files.owns(request.url)) return;
  event.respondWith(answer(request));
});

async function answer(request: Request): Promise<Response> {
  // A cache that fails is no reason to fail where there is a network.
  const kept = await files.find(request.url).catch(() => undefined);
  const response = kept ?? (await fetch(request));
  // Of a redirect the browser shows nothing here, and follows it itself.
  if (response.type === 'opaqueredirect') return response;
  return POLICED.has(request.destination) ? underPolicy(response, POLICY_HEADERS) : response;
}

self.addEventListener('message', (event: ExtendableMessageEvent) => {
  const message = event.data as PageMessage;
  const port = event.ports[0];
  if (message.type === 'store') event.waitUntil(files.store((stored) => port?.postMessage(stored)));
  if (message.type === 'takeOver')
    event.waitUntil(takeOver(event.source).then((answered) => port?.postMessage(answered)));
});

async function takeOver(asking: ExtendableMessageEvent['source']): Promise<TakeOver> {
  const tabs = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  // A page in a folder below has a service worker of its own.
  const others = tabs.filter(({ id, url }) => new URL('.', url).href === scope && id !== (asking as Client | null)?.id);
  if (others.length === 0) await self.skipWaiting();
  return { others: others.length };
}
