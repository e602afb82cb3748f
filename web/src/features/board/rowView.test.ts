import { beforeAll, describe, expect, it } from 'vitest'
import { plainSpeaker } from '../../components/plainSpeaker'
import type { Leg, Movement } from '../../live/leg'
import { messages } from '../../locales/board/en.json?lingui'
import { messages as screens } from '../../locales/screens/en.json?lingui'
import { at, leg, ms } from '../../testing/legs'
import { speakWith } from '../../text'
import { rowView, sameView } from './rowView'

beforeAll(() => speakWith(plainSpeaker({ ...screens, ...messages })))

const NOW = ms('18:05')

function view(more: Partial<Leg>, movement: Movement = 'departures') {
  return rowView({ leg: leg(more), movement, airport: 'JFK' }, NOW, 'live', 'gate')
}

describe('a row', () => {
  it('shows old and new time in the zone of the airport', () => {
    expect(view({ std: at('17:36'), etd: at('18:53') })).toMatchObject({ time: '17:36', newTime: '18:53', timeOld: true, newTimeLate: true })
    expect(view({ etd: at('18:40') })).toMatchObject({ newTime: '18:40', newTimeLate: false })
    expect(view({})).toMatchObject({ time: '18:30', newTime: '', timeOld: false })
  })

  it('has no new time once it left or is cancelled', () => {
    expect(view({ phase: 'off_block', atd: at('18:41') })).toMatchObject({ newTime: '', note: '18:41', done: true })
    expect(view({ irregularity: 'cancelled', etd: at('19:00'), dep_gate: '4' })).toMatchObject({ newTime: '', cancelled: true, tile: '', note: 'See airline desk' })
  })

  it('has no new time from the departure that it came back from', () => {
    const back = { irregularity: 'returned_to_gate', atd: at('18:31') } as const
    expect(view({ ...back, phase: 'boarding' })).toMatchObject({ newTime: '', timeOld: false, word: 'Returned' })
    expect(view({ ...back, phase: 'boarding', etd: at('19:10') })).toMatchObject({ newTime: '19:10' })
    expect(view({ ...back, phase: 'off_block' })).toMatchObject({ newTime: '', done: true })
  })

  it('expects an air return when it says anew, and lands it nowhere else', () => {
    const back = { irregularity: 'air_return', phase: 'airborne', atd: at('18:31'), atot: at('18:40') } as const
    expect(view(back)).toMatchObject({ newTime: '', done: false, timeOld: false, word: 'Returned' })
    expect(view({ ...back, etd: at('20:10') })).toMatchObject({ newTime: '20:10', timeOld: true })
    const landed = { ...back, phase: 'in_block', aldt: at('19:20'), ata: at('19:25') } as const
    expect(view({ ...landed, etd: at('20:10') })).toMatchObject({ newTime: '20:10', done: false })
    expect(view(landed, 'arrivals')).toMatchObject({ newTime: '', done: false, word: '' })
    expect(view({ ...landed, eta: at('22:40') }, 'arrivals')).toMatchObject({ newTime: '22:40', done: false })
    expect(view({ ...landed, irregularity: 'none' }, 'arrivals')).toMatchObject({ done: true, word: 'Arrived' })
  })

  it('shows the other end in its own column and the belt where belts are told', () => {
    expect(view({}).place).toBe('Orlando')
    expect(view({ dep_city: 'Boston', arr_gate: 'C3' }, 'arrivals')).toMatchObject({ place: 'Boston', tile: 'C3' })
    const row = { leg: leg({ belts: ['7', '8'] }), movement: 'arrivals', airport: 'MCO' } as const
    expect(rowView(row, NOW, 'live', 'belt').tile).toBe('7 8')
  })

  it('alternates the numbers of a code-share, the operating one first', () => {
    const row = { leg: leg({ codeshares: [{ airline: 'EI', number: 5009 }, { airline: 'LH', number: 77, suffix: 'A' }] }), movement: 'departures', airport: 'JFK' } as const
    const shown = [0, 1, 2, 3].map((turn) => rowView(row, NOW, 'live', 'gate', turn))
    expect(shown.map(({ airline, number }) => `${airline} ${number}`)).toEqual(['B6 9', 'EI 5009', 'LH 77A', 'B6 9'])
  })

  it('strikes the former belt of an arrival for 20 minutes', () => {
    const was = (belts_at: string) => rowView(
      { leg: leg({ belts: ['7'], belts_was: ['3'], belts_at }), movement: 'arrivals', airport: 'MCO' }, NOW, 'live', 'belt',
    ).tileWas
    expect(was(at('18:00'))).toBe('3')
    expect(was(at('17:40'))).toBe('')
  })

  it('is the same only when nothing on it changed', () => {
    expect(sameView(view({ version: 1 }), view({ version: 2 }))).toBe(true)
    expect(sameView(view({}), view({ dep_gate: '7' }))).toBe(false)
  })
})
