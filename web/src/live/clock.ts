/** Board time and wall time of the server, read on this screen. The local wall clock is never used for flights. */

import type { Movement } from './leg'

export interface FeedReport {
  code: string
  state: 'fresh' | 'late' | 'dead'
  last_seen?: string | null
  synthetic: boolean
  /** The boards of this airport whose times it answers for. */
  boards: Movement[]
}

/** What `status:<IATA>` says every 5 s. */
export interface StatusReport {
  now: string
  wall: string
  speed: number
  build: string
  log: { seq: number; age: number }
  feeds: FeedReport[]
  replay?: ReplayReport
}

/** The days that are replayed; all but `day` and the flags in board time. */
export interface ReplayReport {
  day: string
  opens: string
  ends: string
  /** After its end it starts over. */
  again: boolean
  over: boolean
}

interface Anchor {
  board: number
  wall: number
  mono: number
  speed: number
}

export interface BoardClock {
  accept(report: StatusReport, mono: number): void
  /** Never runs backwards but for a new replay. Undefined until the server has spoken. */
  boardAt(mono: number): number | undefined
  /** Board time of a past moment, for stamps. */
  stampAt(mono: number): number | undefined
  wallAt(mono: number): number | undefined
  speed(): number
}

/** A replay stands still when its server does; real time does not. */
const REPLAY_LEAD = 10_000
const REWIND = 5_000

export function createBoardClock(): BoardClock {
  let anchor: Anchor | undefined
  let shown = -Infinity

  function estimate(at: Anchor, mono: number): number {
    const elapsed = mono - at.mono
    return at.board + at.speed * (at.speed === 1 ? elapsed : Math.min(elapsed, REPLAY_LEAD))
  }

  return {
    accept(report, mono) {
      anchor = {
        board: Date.parse(report.now),
        wall: Date.parse(report.wall),
        mono,
        speed: report.speed,
      }
    },
    boardAt(mono) {
      if (anchor === undefined) return undefined
      const now = estimate(anchor, mono)
      const small = shown - now < REWIND * Math.max(1, anchor.speed)
      shown = small ? Math.max(shown, now) : now
      return shown
    },
    stampAt(mono) {
      return anchor && estimate(anchor, mono)
    },
    wallAt(mono) {
      return anchor && anchor.wall + (mono - anchor.mono)
    },
    speed() {
      return anchor?.speed ?? 1
    },
  }
}
