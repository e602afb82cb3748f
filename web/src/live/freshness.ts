/**
 * How far a screen may be believed. One state machine for every page: the worse of the link (age of
 * the last frame) and the feeds (told by the server). Stale data must never look live.
 */
import type { StatusReport } from './clock'

export type Freshness = 'live' | 'late' | 'stale' | 'down'
export type Cause = 'link' | 'feed'

/** Ages of the link in seconds, settings of the server. */
export interface Limits {
  late: number
  stale: number
  down: number
}

export const DEFAULT_LIMITS: Limits = { late: 15, stale: 60, down: 600 }

/** A status report and the monotonic time at which it arrived. */
export interface ReceivedStatus {
  report: StatusReport
  mono: number
}

export interface Evidence {
  /** Monotonic clock of this screen, ms. */
  now: number
  startedAt: number
  /** Last frame received while every channel of the page was in step; undefined before the first. */
  lastFrame: number | undefined
  status: ReceivedStatus | undefined
  limits: Limits
}

export interface Verdict {
  state: Freshness
  cause: Cause
  /** Monotonic time of the newest confirmation; undefined when there has been none. */
  confirmedAt: number | undefined
  ageMs: number
}

const ORDER: Freshness[] = ['live', 'late', 'stale', 'down']

export function worse(a: Freshness, b: Freshness): boolean {
  return ORDER.indexOf(a) > ORDER.indexOf(b)
}

/** Whether volatile claims (boarding calls, gates to go to) still may be shown. */
export function believable(state: Freshness): boolean {
  return state === 'live' || state === 'late'
}

export function linkState(ageMs: number, limits: Limits): Freshness {
  const age = ageMs / 1000
  if (age > limits.down) return 'down'
  if (age > limits.stale) return 'stale'
  return age > limits.late ? 'late' : 'live'
}

const FEED_STATE = { fresh: 'live', late: 'late', dead: 'stale' } as const

/** The best of the feeds speaks for the board; no feed listed means nothing to wait for. */
export function feedState(status: ReceivedStatus | undefined): {
  state: Freshness
  confirmedAt: number | undefined
} {
  let best: { state: Freshness; confirmedAt: number | undefined } | undefined
  for (const feed of status?.report.feeds ?? []) {
    const state = FEED_STATE[feed.state]
    const confirmedAt =
      status === undefined || feed.last_seen === undefined || feed.last_seen === null
        ? undefined
        : status.mono - (Date.parse(status.report.wall) - Date.parse(feed.last_seen))
    const better =
      best === undefined ||
      worse(best.state, state) ||
      (best.state === state && (confirmedAt ?? -Infinity) > (best.confirmedAt ?? -Infinity))
    if (better) best = { state, confirmedAt }
  }
  return best ?? { state: 'live', confirmedAt: undefined }
}

export function assess(evidence: Evidence): Verdict {
  const { now, startedAt, lastFrame, limits } = evidence
  const linkAge = now - (lastFrame ?? startedAt)
  let link = linkState(linkAge, limits)
  if (lastFrame === undefined && link === 'live') link = 'late'
  const feed = feedState(evidence.status)
  if (worse(feed.state, link)) {
    const confirmedAt = feed.confirmedAt
    return { state: feed.state, cause: 'feed', confirmedAt, ageMs: now - (confirmedAt ?? startedAt) }
  }
  return { state: link, cause: 'link', confirmedAt: lastFrame, ageMs: linkAge }
}
