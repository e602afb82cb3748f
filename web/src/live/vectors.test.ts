/** The vectors that the client shares with the servers' tests. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Freshness } from './freshness'
import type { Leg, Movement } from './leg'
import {
  type BoardState, EMPTY_BOARD, type Position, boardPublication, boardRecovered, boardSnapshot,
} from './reducer'
import { remark } from './remarks'

const FOLDER = new URL('../../../tests/vectors/', import.meta.url)
const fileOf = (name: string) => new URL(name, FOLDER)
const read = (name: string): unknown => JSON.parse(readFileSync(fileOf(name), 'utf8'))

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

/** A step is one of: a snapshot, a recovery with what was missed, a publication. */
interface Step extends Partial<Position> {
  snapshot?: Published[]
  recovered?: Published[]
  publication?: Published
}

interface BoardVectors {
  cases: { name: string; steps: Step[]; rows: Record<string, number> }[]
}

function published(state: BoardState, { key, offset, removed, data }: Published): BoardState {
  return boardPublication(state, removed || data === null ? { key, offset, removed: true } : { key, offset, leg: data })
}

function stepped(state: BoardState, step: Step): BoardState {
  if (step.snapshot) {
    const entries = step.snapshot.map(({ key, offset, data }) => ({ key, offset, leg: data as Leg }))
    return boardSnapshot(state, { epoch: step.epoch ?? '', offset: step.offset ?? 0 }, entries)
  }
  if (step.recovered) return step.recovered.reduce(published, boardRecovered(state))
  return step.publication ? published(state, step.publication) : state
}

const BOARDS = 'board_vectors.json'
const present = existsSync(fileOf(BOARDS))
if (!present) console.warn(`skipped: there is no tests/vectors/${BOARDS} in this tree`)

describe.skipIf(!present)('boards', () => {
  const { cases } = present ? (read(BOARDS) as BoardVectors) : { cases: [] }
  it.each(cases)('$name', ({ steps, rows }) => {
    const { legs } = steps.reduce(stepped, EMPTY_BOARD)
    expect(Object.fromEntries([...legs].map(([key, leg]) => [key, leg.version]))).toEqual(rows)
  })
})
