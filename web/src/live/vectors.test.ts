/** The vectors that the client shares with the servers' tests. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Freshness } from './freshness'
import type { Leg, Movement } from './leg'
import {
  type BoardState, EMPTY_BOARD, type Position, boardPublication, boardRecovered, boardSnapshot,
} from './reducer'
import { remark } from './remarks'

const FOLDER = new URL('../../../tests/vectors/', import.meta.url)
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))

interface RemarkVectors {
  now: string
  base: Leg
  cases: { name: string; leg: Partial<Leg>; departures: Partial<Record<Freshness, string>>; arrivals: Partial<Record<Freshness, string>> }[]
}

describe('remarks', () => {
  const { now, base, cases } = read('remark_vectors.json') as RemarkVectors
  const rows = cases.flatMap((one) => (['departures', 'arrivals'] as Movement[]).flatMap((movement) =>
    Object.entries(one[movement]).map(([state, kind]) => [one.name, movement, state as Freshness, kind, one.leg] as const)))
  it.each(rows)('%s: %s, %s: %s', (_, movement, state, kind, more) => {
    const leg = { ...base, ...more }
    const airport = movement === 'departures' ? leg.dep_airport : leg.arr_airport
    expect(remark({ leg, movement, airport }, Date.parse(now), state).kind).toBe(kind)
  })
})

interface Published {
  key: string
  offset: number
  removed?: boolean
  data: Leg | null
}

interface Reply extends Position {
  recovered?: boolean
  state?: Published[]
  publications?: Published[]
}

interface BoardVectors {
  cases: {
    name: string
    snapshot: Reply
    held: Record<string, Leg>
    steps: { row: { seq: number }; publications: Published[]; held: Record<string, Leg> }[]
    recoveries: { offset: number; reply?: Reply }[]
  }[]
}

function published(state: BoardState, { key, offset, removed, data }: Published): BoardState {
  return boardPublication(state, removed || data === null ? { key, offset, removed: true } : { key, offset, leg: data })
}

function whole(state: BoardState, { epoch, offset, state: rows = [] }: Reply): BoardState {
  return boardSnapshot(state, { epoch, offset }, rows.map(({ key, offset, data }) => ({ key, offset, leg: data as Leg })))
}

function answered(state: BoardState, reply: Reply): BoardState {
  if (!reply.recovered) return whole(state, reply)
  return (reply.publications ?? []).reduce(published, boardRecovered(state))
}

describe('boards', () => {
  const { cases } = read('board_vectors.json') as BoardVectors
  it.each(cases)('$name', ({ snapshot, held, steps, recoveries }) => {
    let state = whole(EMPTY_BOARD, snapshot)
    expect(Object.fromEntries(state.legs)).toEqual(held)
    const moments = [{ offset: snapshot.offset, state }]
    for (const step of steps) {
      state = step.publications.reduce(published, state)
      expect(Object.fromEntries(state.legs)).toEqual(step.held)
      moments.push({ offset: step.row.seq, state })
    }
    for (const { offset, reply } of recoveries) {
      const from = moments.filter((moment) => moment.offset <= offset).at(-1)
      if (!reply || !from) continue
      expect(Object.fromEntries(answered(from.state, reply).legs)).toEqual(steps.at(-1)?.held ?? held)
    }
  })
})
