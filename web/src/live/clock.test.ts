import { describe, expect, it } from 'vitest'
import { type StatusReport, createBoardClock } from './clock'

function report(now: string, speed: number, wall = '2026-11-24T12:00:00Z'): StatusReport {
  return { now, wall, speed, build: '0', log: { seq: 1, age: 0 }, feeds: [] }
}

const NOW = '2013-03-08T23:05:12Z'
const T = Date.parse(NOW)

describe('board clock', () => {
  it('knows nothing before the server spoke', () => {
    expect(createBoardClock().boardAt(5)).toBeUndefined()
    expect(createBoardClock().wallAt(5)).toBeUndefined()
  })

  it('runs at the speed of the server from the moment of the report', () => {
    const clock = createBoardClock()
    clock.accept(report(NOW, 10), 1_000)
    expect(clock.boardAt(4_000)).toBe(T + 30_000)
    expect(clock.wallAt(4_000)).toBe(Date.parse('2026-11-24T12:00:03Z'))
  })

  it('a replay stands still when its server is silent, real time does not', () => {
    const replay = createBoardClock()
    replay.accept(report(NOW, 10), 0)
    expect(replay.boardAt(3_600_000)).toBe(replay.boardAt(60_000))
    const real = createBoardClock()
    real.accept(report(NOW, 1), 0)
    expect(real.boardAt(3_600_000)).toBe(T + 3_600_000)
  })

  it('does not run backwards for a late report, but does for a new replay', () => {
    const clock = createBoardClock()
    clock.accept(report(NOW, 10), 0)
    expect(clock.boardAt(5_000)).toBe(T + 50_000)
    clock.accept(report('2013-03-08T23:06:00Z', 10), 5_000)
    expect(clock.boardAt(5_000)).toBe(T + 50_000)
    expect(clock.boardAt(6_000)).toBe(Date.parse('2013-03-08T23:06:10Z'))
    clock.accept(report('2013-03-08T10:00:00Z', 10), 7_000)
    expect(clock.boardAt(7_000)).toBe(Date.parse('2013-03-08T10:00:00Z'))
  })

  it('stamps past moments without moving the clock', () => {
    const clock = createBoardClock()
    clock.accept(report(NOW, 1), 10_000)
    expect(clock.boardAt(20_000)).toBe(T + 10_000)
    expect(clock.stampAt(4_000)).toBe(T - 6_000)
    expect(clock.stampAt(12_000)).toBe(T + 2_000)
  })
})
