/**
 * Keeps the board's shell and fonts, so that a screen starts without a network. Pages come from the
 * network while it answers; what the server says about flights is never kept here.
 */
interface Kept {
  url: string
  revision: string
}

declare const __PRECACHE__: Kept[]
declare const __VERSION__: string
declare const self: ServiceWorkerGlobalScope

const SHELL = '/board.html'
const PREFIX = 'gatecast-'
const CACHE = `${PREFIX}${__VERSION__}`
/** A board must be up 3 s after the start, also behind a network that swallows everything. */
const PATIENCE_MS = 2_000

async function fill(): Promise<void> {
  const cache = await caches.open(CACHE)
  await cache.addAll(__PRECACHE__.map(({ url, revision }) => new Request(url, revision ? { cache: 'reload' } : {})))
  await self.skipWaiting()
}

async function takeOver(): Promise<void> {
  const names = await caches.keys()
  await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)))
  await self.clients.claim()
}

async function page(request: Request): Promise<Response> {
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) })
    if (response.status < 500) return response
    return (await caches.match(SHELL)) ?? response
  } catch {
    return (await caches.match(SHELL)) ?? Response.error()
  }
}

async function asset(request: Request): Promise<Response> {
  return (await caches.match(request)) ?? fetch(request)
}

self.addEventListener('install', (event) => {
  event.waitUntil(fill())
})
self.addEventListener('activate', (event) => {
  event.waitUntil(takeOver())
})
self.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== self.location.origin) return
  if (request.mode === 'navigate' && url.pathname.startsWith('/board/')) event.respondWith(page(request))
  else if (url.pathname.startsWith('/assets/')) event.respondWith(asset(request))
})
