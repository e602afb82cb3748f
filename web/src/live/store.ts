/**
 * Live state by channel, without React: joined while somebody listens, told in batches so that a
 * burst of changes costs one render. A frame counts as contact only while every joined channel is in
 * step, so a page cannot look live before it has caught up.
 */
import type { ChannelSink, LiveClient } from './client'
import { type BoardClock, type StatusReport, createBoardClock } from './clock'
import type { Movement } from './leg'
import { DEFAULT_LIMITS, type Limits, type ReceivedStatus, type Verdict, assess } from './freshness'

export interface Resource<T> {
  get(): T
  /** Joins the channel with the first listener and leaves it after the last. */
  listen(listener: () => void): () => void
  /** Puts a new state in place; listeners hear of it with the next batch. */
  put(value: T): void
}

export interface LiveStore {
  /** The one resource of a channel; `sink` turns what the channel says into states. */
  channel<T>(
    name: string, kind: 'stream' | 'map', initial: T, sink: (own: Resource<T>) => Partial<ChannelSink>,
  ): Resource<T>
  status(iata: string): Resource<ReceivedStatus | undefined>
  clock: BoardClock
  verdict(status: ReceivedStatus | undefined, now: number, movement: Movement): Verdict
  /** Calls back after each connect reply and each return into step. */
  onContact(listener: () => void): () => void
  /** The page is looked at again: a connection that slept through it is replaced. */
  wake(): void
  /** The account of this browser changed: the connection is opened anew with its token. */
  identify(): void
}

const BATCH = 250
/** Channels are left this long after their last listener, so that a page turn does not rejoin them. */
const LEAVE_AFTER = 1_000
/** Status comes every 5 s: a socket silent for longer than two of them is not worth waiting for. */
const SLEPT = 11_000

export function createStore(client: LiveClient): LiveStore {
  const now = () => performance.now()
  const startedAt = now()
  const clock = createBoardClock()
  const resources = new Map<string, unknown>()
  const outOfStep = new Set<string>()
  const dirty = new Set<Set<() => void>>()
  const contactListeners = new Set<() => void>()
  let limits: Limits = DEFAULT_LIMITS
  let lastFrame: number | undefined
  let lastFlush = -Infinity
  let flushing: ReturnType<typeof setTimeout> | undefined

  function flush() {
    flushing = undefined
    lastFlush = now()
    const changed = [...dirty]
    dirty.clear()
    for (const listeners of changed) tell(listeners)
  }

  function contact() {
    if (outOfStep.size === 0) lastFrame = now()
  }

  function stepping(name: string, inner: Partial<ChannelSink>): ChannelSink {
    return {
      subscribed(position, recovered) {
        outOfStep.delete(name)
        inner.subscribed?.(position, recovered)
        contact()
        tell(contactListeners)
      },
      snapshot(frames) {
        inner.snapshot?.(frames)
        contact()
      },
      frame(frame) {
        inner.frame?.(frame)
        contact()
      },
      lost: () => outOfStep.add(name),
    }
  }

  function open<T>(
    name: string, kind: 'stream' | 'map', initial: T, sink: (own: Resource<T>) => Partial<ChannelSink>,
  ): Resource<T> {
    const listeners = new Set<() => void>()
    let value = initial
    let leave: (() => void) | undefined
    let leaving: ReturnType<typeof setTimeout> | undefined

    function part() {
      leave?.()
      leave = undefined
      outOfStep.delete(name)
    }

    const own: Resource<T> = {
      get: () => value,
      put(next) {
        if (next === value) return
        value = next
        dirty.add(listeners)
        // Also the first change waits one task: the rest of its frame belongs to the same picture.
        flushing ??= setTimeout(flush, Math.max(0, lastFlush + BATCH - now()))
      },
      listen(listener) {
        clearTimeout(leaving)
        listeners.add(listener)
        if (leave === undefined) {
          outOfStep.add(name)
          leave = client.join(name, kind, stepping(name, sink(own)))
        }
        return () => {
          listeners.delete(listener)
          if (listeners.size === 0) leaving = setTimeout(part, LEAVE_AFTER)
        }
      },
    }
    return own
  }

  const store: LiveStore = {
    clock,
    channel<T>(...[name, kind, initial, sink]: Parameters<typeof open<T>>) {
      // A name is always asked for with the same type of state.
      const held = resources.get(name) as Resource<T> | undefined
      if (held !== undefined) return held
      const made = open(name, kind, initial, sink)
      resources.set(name, made)
      return made
    },
    status: (iata) =>
      store.channel<ReceivedStatus | undefined>(`status:${iata}`, 'stream', undefined, (own) => ({
        frame({ data }) {
          const report = data as StatusReport
          clock.accept(report, now())
          own.put({ report, mono: now() })
        },
      })),
    verdict: (status, at, movement) => assess({ now: at, startedAt, lastFrame, status, limits, movement }),
    onContact(listener) {
      contactListeners.add(listener)
      return () => contactListeners.delete(listener)
    },
    wake() {
      const silent = now() - (lastFrame ?? startedAt) > SLEPT
      if (silent || !client.connected()) client.reconnect()
    },
    identify: () => client.identify(),
  }

  client.start((reply) => {
    limits = limitsOf(reply) ?? limits
    tell(contactListeners)
  })
  return store
}

function tell(listeners: Set<() => void>): void {
  for (const listener of [...listeners]) listener()
}

function limitsOf(reply: unknown): Limits | undefined {
  const limits = (reply as { freshness?: Limits } | undefined)?.freshness
  return limits?.late && limits.stale && limits.down ? limits : undefined
}
