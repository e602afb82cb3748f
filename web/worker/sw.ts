/**
 * Keeps the board's shell and fonts, so that a screen starts without a network. Pages come from the
 * network while it answers; what the server says about flights is never kept here. It also shows pushes.
 */
import { type Pushed, type Shown, displayed, judge, pushed, remember } from './push'

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

const PUSHES = 'pushes'
const NOTHING: Shown = { tags: {}, legs: {} }
const ICON = '/assets/icon.svg'

/** What was shown outlives this worker, which the browser ends whenever it likes. */
async function recall(): Promise<Shown> {
  const kept = await (await caches.open(PUSHES)).match('/shown')
  return kept ? ((await kept.json()) as Shown) : NOTHING
}

async function keep(shown: Shown): Promise<void> {
  await (await caches.open(PUSHES)).put('/shown', Response.json(shown))
}

let turn: Promise<unknown> = Promise.resolve()

/** One after the other, so that no push is judged before the one ahead of it is remembered. */
function inTurn(work: () => Promise<void>): Promise<void> {
  const done = turn.then(work)
  turn = done.catch(() => undefined)
  return done
}

async function receive(push: Pushed): Promise<void> {
  const shown = await recall()
  if (judge(push, shown, Date.now()) !== 'show') return
  const rings = shown.tags[push.tag] === undefined && !push.silent
  await self.registration.showNotification(push.title, {
    body: push.body, tag: push.tag, silent: !rings, icon: ICON, data: { url: push.url },
  })
  await keep(remember(shown, push))
}

async function openFlight(url: string): Promise<void> {
  const pages = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  const open = pages.find((one) => new URL(one.url).pathname === url)
  if (open) await open.focus()
  else await self.clients.openWindow(url)
}

async function note(legs: Record<string, number>): Promise<void> {
  await keep(Object.entries(legs).reduce((shown, [leg, v]) => displayed(shown, leg, v), await recall()))
}

self.addEventListener('push', (event) => {
  let payload: unknown
  try {
    payload = event.data?.json()
  } catch {
    return
  }
  const push = pushed(payload)
  if (push) event.waitUntil(inTurn(() => receive(push)))
})
self.addEventListener('notificationclick', (event) => {
  event.notification.close()
  event.waitUntil(openFlight((event.notification.data as { url: string }).url))
})
self.addEventListener('message', (event) => {
  const legs = (event.data as { displayed?: Record<string, number> } | null)?.displayed
  if (legs) event.waitUntil(inTurn(() => note(legs)))
})
