/** React's side of the live store: the only place where the two meet. */
import { createContext, use, useCallback, useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import type { Verdict } from '../live/freshness'
import { boardOf } from '../live/boards'
import type { Movement } from '../live/leg'
import type { LiveStore, Resource } from '../live/store'
import type { StatusReport } from '../live/clock'

const StoreContext = createContext<LiveStore | null>(null)

export const StoreProvider = StoreContext.Provider

export function useStore(): LiveStore {
  const store = use(StoreContext)
  if (store === null) throw new Error('no live store above this component')
  return store
}

export function useResource<T>(resource: Resource<T>): T {
  return useSyncExternalStore(
    useCallback((listener) => resource.listen(listener), [resource]),
    useCallback(() => resource.get(), [resource]),
  )
}

export function useBoard(iata: string, movement: Movement) {
  const store = useStore()
  return useResource(useMemo(() => boardOf(store, iata, movement), [store, iata, movement]))
}

/** Monotonic time, renewed each second in step with the server's seconds; still while the page is hidden. */
export function useTick(): number {
  const store = useStore()
  const [now, setNow] = useState(() => performance.now())
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const tick = () => {
      clearTimeout(timer)
      const at = performance.now()
      setNow(at)
      if (document.visibilityState === 'hidden') return
      timer = setTimeout(tick, 1000 - ((store.clock.wallAt(at) ?? at) % 1000))
    }
    tick()
    document.addEventListener('visibilitychange', tick)
    return () => {
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', tick)
    }
  }, [store])
  return now
}

export interface Present {
  /** Monotonic ms. */
  mono: number
  /** Board time, ms; undefined before the server spoke. */
  board: number | undefined
  /** Wall time of the server, ms. */
  wall: number | undefined
  speed: number
  synthetic: boolean
  verdict: Verdict
  /** Board time of the newest confirmation. */
  confirmed: number | undefined
  report: StatusReport | undefined
}

/** The time and the freshness of one airport's board, renewed each second. */
export function usePresent(iata: string, movement: Movement = 'departures'): Present {
  const store = useStore()
  const status = useResource(useMemo(() => store.status(iata), [store, iata]))
  const ticked = useTick()
  // A report that came after the last tick must not be dated before its arrival.
  const mono = Math.max(ticked, status?.mono ?? 0)
  const verdict = store.verdict(status, mono, movement)
  return {
    mono,
    board: status && store.clock.boardAt(mono),
    wall: store.clock.wallAt(mono),
    speed: store.clock.speed(),
    synthetic: status !== undefined
      && (status.report.replay !== undefined || status.report.feeds.some((feed) => feed.synthetic)),
    verdict,
    confirmed: verdict.confirmedAt === undefined ? undefined : store.clock.stampAt(verdict.confirmedAt),
    report: status?.report,
  }
}

/** Replaces a connection that slept, as soon as the page is looked at again. */
export function useWaking(): void {
  const store = useStore()
  useEffect(() => {
    const wake = () => {
      if (document.visibilityState === 'visible') store.wake()
    }
    const restored = (shown: PageTransitionEvent) => {
      if (shown.persisted) wake()
    }
    document.addEventListener('visibilitychange', wake)
    window.addEventListener('online', wake)
    window.addEventListener('pageshow', restored)
    return () => {
      document.removeEventListener('visibilitychange', wake)
      window.removeEventListener('online', wake)
      window.removeEventListener('pageshow', restored)
    }
  }, [store])
}
