import { describe, expect, it } from 'vitest'
import type { FeedReport, StatusReport } from './clock'
import type { Movement } from './leg'
import { DEFAULT_LIMITS, type Evidence, type Freshness, assess, feedState } from './freshness'

const WALL = '2026-11-24T12:00:00Z'

function feed(state: FeedReport['state'], ago = 5, boards: Movement[] = ['departures']): FeedReport {
  const last_seen = new Date(Date.parse(WALL) - ago * 1000).toISOString()
  return { code: `${state}-${String(ago)}`, state, last_seen, synthetic: false, boards }
}

function status(feeds: FeedReport[], mono = 1_000_000) {
  const report: StatusReport = { now: '2013-03-08T23:05:12Z', wall: WALL, speed: 1, build: '0', log: { seq: 1, age: 0 }, feeds }
  return { report, mono }
}

function evidence(ageS: number, feeds: FeedReport[] = [feed('fresh')], more: Partial<Evidence> = {}): Evidence {
  const now = 1_000_000 + ageS * 1000
  return { now, startedAt: 0, lastFrame: 1_000_000, status: status(feeds), limits: DEFAULT_LIMITS, movement: 'departures', ...more }
}

describe('link', () => {
  it.each<[number, Freshness]>([
    [0, 'live'], [15, 'live'], [15.1, 'late'], [60, 'late'], [60.1, 'stale'], [600, 'stale'], [600.1, 'down'], [86_400, 'down'],
  ])('%s s after the last frame: %s', (age, state) => {
    expect(assess(evidence(age))).toMatchObject({ state, cause: 'link', ageMs: age * 1000 })
  })

  it('takes its limits from the server', () => {
    const limits = { late: 1, stale: 2, down: 3 }
    expect(assess(evidence(2.5, [], { limits })).state).toBe('stale')
    expect(assess(evidence(3.5, [], { limits })).state).toBe('down')
  })

  it('is never live before the first frame, and ages from the start', () => {
    const never = { lastFrame: undefined, status: undefined }
    expect(assess(evidence(0, [], { ...never, startedAt: 1_000_000 }))).toMatchObject({ state: 'late', confirmedAt: undefined })
    expect(assess(evidence(61, [], { ...never, startedAt: 1_000_000 })).state).toBe('stale')
    expect(assess(evidence(601, [], { ...never, startedAt: 1_000_000 })).state).toBe('down')
  })
})

describe('feed', () => {
  it.each<[FeedReport['state'], Freshness]>([['fresh', 'live'], ['late', 'late'], ['dead', 'stale']])('%s is %s while the link lives', (state, verdict) => {
    expect(assess(evidence(2, [feed(state, 90)])).state).toBe(verdict)
  })

  it('is dated by its own heartbeat, not by the frame that tells of it', () => {
    const verdict = assess(evidence(4, [feed('dead', 150)]))
    expect(verdict).toMatchObject({ state: 'stale', cause: 'feed', confirmedAt: 1_000_000 - 150_000, ageMs: 154_000 })
  })

  it('the best of several speaks for the board', () => {
    expect(feedState(status([feed('dead', 900), feed('late', 400), feed('fresh', 3)]), 'departures').state).toBe('live')
    expect(feedState(status([feed('late', 400), feed('late', 301)]), 'departures').confirmedAt).toBe(1_000_000 - 301_000)
  })

  it('only those that answer for the board count', () => {
    const feeds = [feed('dead', 900), feed('late', 400, ['arrivals']), feed('fresh', 3, [])]
    expect(assess(evidence(1, feeds)).state).toBe('stale')
    expect(assess(evidence(1, feeds, { movement: 'arrivals' })).state).toBe('late')
  })

  it('none listed is live', () => {
    expect(assess(evidence(1, [])).state).toBe('live')
  })

  it('a feed that was never heard has no date', () => {
    const silent: FeedReport = { code: 'x', state: 'dead', last_seen: null, synthetic: false, boards: ['departures'] }
    expect(assess(evidence(1, [silent]))).toMatchObject({ state: 'stale', cause: 'feed', confirmedAt: undefined })
  })
})

describe('the worse of the two is shown', () => {
  it.each<[number, FeedReport['state'], Freshness, 'link' | 'feed']>([
    [1, 'fresh', 'live', 'link'],
    [1, 'late', 'late', 'feed'],
    [1, 'dead', 'stale', 'feed'],
    [30, 'fresh', 'late', 'link'],
    [30, 'late', 'late', 'link'],
    [30, 'dead', 'stale', 'feed'],
    [100, 'fresh', 'stale', 'link'],
    [100, 'late', 'stale', 'link'],
    [100, 'dead', 'stale', 'link'],
    [700, 'fresh', 'down', 'link'],
    [700, 'dead', 'down', 'link'],
  ])('link %s s, feed %s: %s because of the %s', (age, state, verdict, cause) => {
    expect(assess(evidence(age, [feed(state)]))).toMatchObject({ state: verdict, cause })
  })
})
