import { describe, expect, it } from 'vitest'
import { VECTOR_LEG, leg } from '../testing/legs'
import {
  EMPTY_BOARD, EMPTY_FLIGHT, boardPublication, boardRecovered, boardSnapshot, flightPublication, flightSeed, flightSubscribed,
} from './reducer'

const EPOCH = '5b0c8e0e-6d0a-4a53-9f0e-3d3f2b6f1c11'
const A = leg({ key: 'A', version: 1 })
const B = leg({ key: 'B', version: 1 })
const change = { version: 12, kinds: ['gate_changed'], fields: {}, at: '2013-03-08T22:59:00Z' }

function board() {
  return boardSnapshot(EMPTY_BOARD, { epoch: EPOCH, offset: 100 }, [
    { key: 'A', offset: 90, leg: A },
    { key: 'B', offset: 95, leg: B },
  ])
}

describe('board', () => {
  it('takes a snapshot whole and is ready from then on', () => {
    expect(EMPTY_BOARD.ready).toBe(false)
    const state = board()
    expect([...state.legs.keys()]).toEqual(['A', 'B'])
    expect(state).toMatchObject({ ready: true, epoch: EPOCH, offset: 100 })
  })

  it('applies publications by offset', () => {
    const moved = { ...A, version: 2, dep_gate: '7' }
    const state = boardPublication(board(), { key: 'A', offset: 101, leg: moved })
    expect(state.legs.get('A')).toEqual(moved)
    expect(state.offset).toBe(101)
  })

  it('takes several publications of one offset, as one seq of the log makes them', () => {
    let state = boardPublication(board(), { key: 'A', offset: 101, removed: true })
    state = boardPublication(state, { key: 'B', offset: 101, removed: true })
    expect(state.legs.size).toBe(0)
  })

  it('drops what the snapshot already holds', () => {
    const state = board()
    expect(boardPublication(state, { key: 'A', offset: 100, leg: { ...A, dep_gate: 'old' } })).toBe(state)
  })

  it('drops what is older than the newest word about a key, also after its removal', () => {
    let state = boardPublication(board(), { key: 'A', offset: 105, leg: { ...A, version: 3 } })
    expect(boardPublication(state, { key: 'A', offset: 104, leg: { ...A, version: 2 } })).toBe(state)
    state = boardPublication(state, { key: 'A', offset: 110, removed: true })
    expect(state.legs.has('A')).toBe(false)
    expect(boardPublication(state, { key: 'A', offset: 109, leg: A })).toBe(state)
  })

  it('keeps keys apart when a conflated connection delivers them out of order', () => {
    let state = boardPublication(board(), { key: 'B', offset: 120, leg: { ...B, version: 2 } })
    state = boardPublication(state, { key: 'A', offset: 115, leg: { ...A, version: 2 } })
    expect(state.legs.get('A')?.version).toBe(2)
    expect(state.offset).toBe(120)
  })

  it('accepts an extra removal of a key it never had', () => {
    expect(boardPublication(board(), { key: 'Z', offset: 130, removed: true }).legs.size).toBe(2)
  })

  it('a new snapshot replaces everything, also at a lower offset of a new epoch', () => {
    const before = boardPublication(board(), { key: 'C', offset: 200, leg: leg({ key: 'C' }) })
    const after = boardSnapshot(before, { epoch: 'other', offset: 5 }, [{ key: 'B', offset: 4, leg: B }])
    expect([...after.legs.keys()]).toEqual(['B'])
    expect(after).toMatchObject({ epoch: 'other', offset: 5, generation: before.generation + 1 })
    expect(boardPublication(after, { key: 'A', offset: 6, leg: A }).legs.has('A')).toBe(true)
  })

  it('a recovery keeps the state and marks that the board caught up', () => {
    const before = board()
    const after = boardRecovered(before)
    expect(after.legs).toBe(before.legs)
    expect(after.generation).toBe(before.generation + 1)
  })

  it('forgets departed keys after a long day, never present ones', () => {
    let state = board()
    for (let n = 0; n < 4_000; n += 1) {
      const key = `gone-${String(n)}`
      state = boardPublication(state, { key, offset: 101 + 2 * n, leg: leg({ key }) })
      state = boardPublication(state, { key, offset: 102 + 2 * n, removed: true })
    }
    expect(state.heard.size).toBeLessThan(2_000)
    expect([...state.legs.keys()]).toEqual(['A', 'B'])
    expect(state.heard.get('A')).toBe(90)
  })

  it('equals a fresh snapshot after any prefix was taken as snapshot', () => {
    const log = [
      { key: 'A', offset: 1, leg: A }, { key: 'B', offset: 2, leg: B },
      { key: 'A', offset: 3, leg: { ...A, version: 2 } }, { key: 'B', offset: 4, removed: true as const },
      { key: 'C', offset: 5, leg: leg({ key: 'C' }) }, { key: 'B', offset: 6, leg: { ...B, version: 9 } },
    ]
    const from = (start: number) => {
      let base = boardSnapshot(EMPTY_BOARD, { epoch: EPOCH, offset: 0 }, [])
      for (const one of log.slice(0, start)) base = boardPublication(base, one)
      let state = boardSnapshot(EMPTY_BOARD, { epoch: EPOCH, offset: start }, [...base.legs].map(([key, held]) => ({ key, offset: start, leg: held })))
      // Everything is delivered again, as a careless recovery would.
      for (const one of log) state = boardPublication(state, one)
      return new Map([...state.legs].sort())
    }
    for (let start = 0; start <= log.length; start += 1) expect(from(start)).toEqual(from(0))
  })
})

describe('flight', () => {
  const position = { epoch: EPOCH, offset: 12 }

  it('is painted from REST, then the channel takes over', () => {
    const seeded = flightSeed(EMPTY_FLIGHT, { ...VECTOR_LEG, version: 12 })
    const open = flightSubscribed(seeded, position)
    expect(open).toMatchObject({ version: 0, ready: true })
    expect(open.leg).toBe(seeded.leg)
    const first = flightPublication(open, 12, { leg: VECTOR_LEG, change })
    expect(first).toMatchObject({ version: 12, witnessed: false })
  })

  it('a change that comes while watching is witnessed', () => {
    const open = flightPublication(flightSubscribed(EMPTY_FLIGHT, position), 12, { leg: VECTOR_LEG, change })
    expect(open.witnessed).toBe(false)
    const next = flightPublication(open, 13, { leg: { ...VECTOR_LEG, version: 13 }, change: { ...change, version: 13 } })
    expect(next).toMatchObject({ version: 13, witnessed: true })
  })

  it('drops old and repeated versions, also from REST', () => {
    const state = flightPublication(flightSubscribed(EMPTY_FLIGHT, position), 12, { leg: VECTOR_LEG, change })
    expect(flightPublication(state, 12, { leg: VECTOR_LEG })).toBe(state)
    expect(flightPublication(state, 11, { leg: VECTOR_LEG })).toBe(state)
    expect(flightSeed(state, { ...VECTOR_LEG, version: 11 })).toBe(state)
  })

  it('starts counting anew in a new epoch and shows the old leg until the new one is told', () => {
    const old = flightPublication(flightSubscribed(EMPTY_FLIGHT, position), 12, { leg: VECTOR_LEG, change })
    const fresh = flightSubscribed(old, { epoch: 'new', offset: 3 })
    expect(fresh).toMatchObject({ version: 0, epoch: 'new', leg: VECTOR_LEG })
    const told = flightPublication(fresh, 3, { leg: { ...VECTOR_LEG, version: 3 }, change })
    expect(told).toMatchObject({ version: 3, witnessed: false })
  })

  it('keeps counting after a recovery in the same epoch', () => {
    const state = flightPublication(flightSubscribed(EMPTY_FLIGHT, position), 12, { leg: VECTOR_LEG, change })
    expect(flightSubscribed(state, position).version).toBe(12)
  })

  it('tells where a leg of a corrected key went', () => {
    expect(flightPublication(EMPTY_FLIGHT, 13, { moved_to: 'B610-2013-03-08-JFK-MCO' }).movedTo).toBe('B610-2013-03-08-JFK-MCO')
  })
})
