/**
 * The only reload of a board: another build was announced, its page answers and its service worker
 * is installed. A board never reloads because something failed.
 */
/** With the turn of a page, all screens have the new build within 90 s. */
const SPREAD_MS = 70_000
const RETRY_MS = 60_000
/** A build that a reload did not bring is asked for again only after this. */
const AGAIN_MS = 3_600_000

export interface Renewal {
  /** The build that the server runs: a version, and what it serves: `0.1.0+3fa9c1d2b4e6`. */
  announced(build: string): void
  /** A page turn: the moment in which nobody notices. */
  turned(): void
  close(): void
}

export interface RenewalPorts {
  /** What this page was built as; empty where it was not built. */
  own: string
  /** Whether the page of this build answers and its worker is installed. */
  prepare(build: string): Promise<boolean>
  reload(): void
  random(): number
  now(): number
  /** The last build that this screen reloaded for. */
  tried: { get(): string | null; put(value: string): void }
}

export function createRenewal(ports: RenewalPorts): Renewal {
  let wanted = ports.own
  let prepared = ''
  let timer: ReturnType<typeof setTimeout> | undefined

  function later(ms: number) {
    timer = setTimeout(() => void attempt(), ms)
  }

  async function attempt() {
    timer = undefined
    const build = wanted
    if (build === ports.own || prepared === build) return
    if (await ports.prepare(build).catch(() => false)) prepared = build
    else later(RETRY_MS)
  }

  function triedLately(build: string): boolean {
    const [last, at] = (ports.tried.get() ?? '').split(' ')
    return last === build && ports.now() - Number(at) < AGAIN_MS
  }

  return {
    announced(build) {
      const served = build.split('+')[1]
      // A server that serves no pages has no newer ones.
      if (served === undefined || ports.own === '') return
      wanted = served
      // Spread, so that the boards of an airport do not reload together.
      if (wanted !== ports.own && wanted !== prepared && timer === undefined && !triedLately(wanted)) later(ports.random() * SPREAD_MS)
    },
    turned() {
      if (prepared === '' || prepared !== wanted) return
      ports.tried.put(`${prepared} ${ports.now()}`)
      ports.reload()
    },
    close: () => clearTimeout(timer),
  }
}

const PAGE = '/board.html'
const WORKER = '/sw.js'
const INSTALL_MS = 30_000
const TRIED = 'gatecast.renewal'

function builtAs(page: Document): string {
  return page.querySelector<HTMLMetaElement>('meta[name=gatecast-build]')?.content ?? ''
}

/** Resolves once the worker that the server now hands out is installed. */
async function installed(registration: ServiceWorkerRegistration): Promise<boolean> {
  const fresh = (await registration.update()).installing
  if (fresh === null) return registration.active !== null
  return new Promise((resolve) => {
    setTimeout(() => resolve(false), INSTALL_MS)
    fresh.addEventListener('statechange', () => {
      if (fresh.state === 'redundant') resolve(false)
      else if (fresh.state !== 'installing') resolve(true)
    })
  })
}

/** Registers the service worker and returns what renews this page. */
export function attendBoard(): Renewal {
  // Absent where the page is not served securely, whatever the types say.
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined
  const registration = workers?.register(WORKER).catch(() => undefined)
  return createRenewal({
    own: builtAs(document),
    async prepare(build) {
      const response = await fetch(PAGE, { cache: 'no-store' })
      if (response.status !== 200) return false
      if (builtAs(new DOMParser().parseFromString(await response.text(), 'text/html')) !== build) return false
      const held = await registration
      return held === undefined ? true : installed(held)
    },
    reload: () => window.location.reload(),
    random: Math.random,
    now: Date.now,
    tried: { get: () => sessionStorage.getItem(TRIED), put: (value) => sessionStorage.setItem(TRIED, value) },
  })
}
