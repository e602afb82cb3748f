/**
 * The only reload of a board: a new build was announced, its page answers and its service worker is
 * installed. A board never reloads because something failed.
 */
const SPREAD_MS = 90_000
const RETRY_MS = 60_000

export interface Renewal {
  /** The build that the server runs; the first one heard is this page's own. */
  announced(build: string): void
  /** A page turn: the moment in which nobody notices. */
  turned(): void
  close(): void
}

export interface RenewalPorts {
  /** Whether the new page answers and its worker is installed. */
  prepare(): Promise<boolean>
  reload(): void
  random(): number
}

export function createRenewal(ports: RenewalPorts): Renewal {
  let own: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let prepared = false

  function later(ms: number) {
    timer = setTimeout(() => void attempt(), ms)
  }

  async function attempt() {
    prepared = await ports.prepare().catch(() => false)
    if (!prepared) later(RETRY_MS)
  }

  return {
    announced(build) {
      own ??= build
      // Spread, so that the boards of an airport do not reload together.
      if (build !== own && timer === undefined) later(ports.random() * SPREAD_MS)
    },
    turned() {
      if (prepared) ports.reload()
    },
    close: () => clearTimeout(timer),
  }
}

const PAGE = '/board.html'
const WORKER = '/sw.js'
const INSTALL_MS = 30_000

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
    async prepare() {
      const response = await fetch(PAGE, { cache: 'no-store' })
      if (response.status !== 200) return false
      const held = await registration
      return held === undefined ? true : installed(held)
    },
    reload: () => window.location.reload(),
    random: Math.random,
  })
}
