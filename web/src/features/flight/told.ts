/**
 * What a change of a leg tells a traveller, in one sentence for each fact; the most urgent first.
 * Loaded when it is needed; imports no code, so that no first load is cut into more files for it.
 */
import type { Instant, Irregularity, Leg, Phase } from '../../live/leg'
import type { PastChange } from '../../rest/flights'
import type { Text } from '../../text'

export type TimeOf = (instant: Instant | undefined, zone: string | undefined) => string

type Pair = readonly [unknown, unknown]
type Facts = Pick<Leg, 'dep_tz' | 'arr_tz' | 'divert_city' | 'divert_airport' | 'std' | 'sta'>
type Stem = 'gate' | 'etd' | 'eta' | 'std' | 'sta' | 'boarding' | 'terminal' | 'arr_gate' | 'belt'

const PHASES = new Set<unknown>([
  'scheduled', 'check_in', 'gate_open', 'boarding', 'final_call', 'gate_closed', 'off_block',
  'airborne', 'approaching', 'landed', 'in_block', 'bags_done',
] satisfies Phase[])
const WITHDRAWN = ['gate', 'etd', 'eta'] as const
const FROM_NOTHING = [...WITHDRAWN, 'boarding', 'terminal', 'arr_gate', 'belt'] as const

function has<T extends string>(list: readonly T[], value: string): value is T {
  return (list as readonly string[]).includes(value)
}

function words(stem: Stem, is: string, was: string): Text | undefined {
  if (is && was) return is === was ? undefined : { id: `history.${stem}.moved`, values: { is, was } }
  if (is && has(FROM_NOTHING, stem)) return { id: `history.${stem}`, values: { is } }
  if (was && has(WITHDRAWN, stem)) return { id: `history.${stem}.withdrawn`, values: { was } }
  return undefined
}

function placed(value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : typeof value === 'string' ? value : ''
}

function irregularity([was, is]: Pair, facts: Facts, fields: PastChange['changed']): Text | undefined {
  if (was === 'cancelled' && is === 'none') return { id: 'history.reinstated' }
  switch (is as Irregularity) {
    case 'cancelled':
    case 'not_operating':
      return { id: 'history.cancelled' }
    case 'diverted': {
      const place = placed(fields.divert_city?.[1]) || placed(fields.divert_airport?.[1]) || (facts.divert_city ?? facts.divert_airport)
      return place ? { id: 'history.diverted', values: { place } } : { id: 'history.diverted.unknown' }
    }
    case 'returned_to_gate':
    case 'air_return':
      return { id: `history.${is as 'returned_to_gate' | 'air_return'}` }
    case 'none':
      return { id: 'history.regular' }
  }
}

interface Told {
  field: string
  stem: Stem
  end?: 'dep' | 'arr'
}

const TOLD: readonly Told[] = [
  { field: 'dep_gate', stem: 'gate' },
  { field: 'etd', stem: 'etd', end: 'dep' },
  { field: 'std', stem: 'std', end: 'dep' },
  { field: 'boarding_est', stem: 'boarding', end: 'dep' },
  { field: 'dep_terminal', stem: 'terminal' },
  { field: 'eta', stem: 'eta', end: 'arr' },
  { field: 'sta', stem: 'sta', end: 'arr' },
  { field: 'arr_gate', stem: 'arr_gate' },
  { field: 'belts', stem: 'belt' },
]

export function toldBy({ version, changed }: PastChange, facts: Facts, timeOf: TimeOf): Text[] {
  if (version === 1) return [{ id: 'history.first' }]
  const texts: Text[] = []
  const tell = (text: Text | undefined) => text && texts.push(text)
  if (changed.irregularity) tell(irregularity(changed.irregularity, facts, changed))
  const phase = changed.phase?.[1]
  if (PHASES.has(phase)) tell({ id: `history.phase.${phase as Phase}` })
  for (const { field, stem, end } of TOLD) {
    const pair = changed[field]
    if (pair === undefined) continue
    const zone = end === 'arr' ? facts.arr_tz : facts.dep_tz
    const put = (value: unknown) => (end === undefined ? placed(value) : typeof value === 'string' ? timeOf(value, zone) : '')
    // A first estimate moves the plan.
    const plan = field === 'etd' ? facts.std : field === 'eta' ? facts.sta : undefined
    tell(words(stem, put(pair[1]), put(pair[0]) || (pair[1] ? put(plan) : '')))
  }
  const doubt = changed.uncertain
  if (doubt) tell({ id: doubt[1] === true ? 'history.doubted' : 'history.confirmed' })
  return texts.length > 0 ? texts : [{ id: 'history.other' }]
}
