import { describe, expect, it } from 'vitest'
import { at, leg } from '../../testing/legs'
import { selectionOf, selects } from './address'
import { DWELL_MS, ordered, pageAt, pageCount, rowsThatFit, slotAt } from './rows'

describe('order', () => {
  it('is by planned time, city, airline and number, whatever the estimates say', () => {
    const rows = [
      leg({ key: '5', std: at('18:00'), arr_city: 'Charlotte', airline: 'US', flight_no: 373 }),
      leg({ key: '4', std: at('18:00'), arr_city: 'Boston', airline: 'B6', flight_no: 1016 }),
      leg({ key: '3', std: at('18:00'), arr_city: 'Boston', airline: 'B6', flight_no: 16, etd: at('23:00') }),
      leg({ key: '2', std: at('18:00'), arr_city: 'Boston', airline: 'AA', flight_no: 2000 }),
      leg({ key: '1', std: at('17:25'), etd: at('20:43'), arr_city: 'San Diego' }),
    ]
    for (const shuffled of [rows, [...rows].reverse(), [rows[2]!, rows[0]!, rows[4]!, rows[3]!, rows[1]!]]) {
      expect(ordered(shuffled, 'departures').map((row) => row.key)).toEqual(['1', '2', '3', '4', '5'])
    }
  })

  it('of arrivals goes by the planned arrival and the city of departure', () => {
    const rows = [
      leg({ key: 'b', sta: at('20:00'), dep_city: 'Boston' }),
      leg({ key: 'a', sta: at('20:00'), dep_city: 'Austin' }),
      leg({ key: '0', sta: at('19:00'), dep_city: 'Zurich' }),
    ]
    expect(ordered(rows, 'arrivals').map((row) => row.key)).toEqual(['0', 'a', 'b'])
  })
})

describe('pages', () => {
  it('turn by the wall clock of the server, so that all screens are in step', () => {
    const wall = Date.parse('2026-11-24T12:00:00Z')
    expect(wall % DWELL_MS).toBe(0)
    const pages = pageCount(31, 14)
    expect(pages).toBe(3)
    const first = pageAt(slotAt(wall), pages)
    expect(pageAt(slotAt(wall + 11_999), pages)).toBe(first)
    expect(pageAt(slotAt(wall + 12_000), pages)).toBe((first + 1) % 3)
    expect(pageAt(slotAt(wall + 36_000), pages)).toBe(first)
  })

  it.each([[0, 1], [1, 1], [14, 1], [15, 2], [28, 2], [29, 3], [42, 3], [43, 3], [300, 3]])('%s rows make %s pages', (rows, pages) => {
    expect(pageCount(rows, 14)).toBe(pages)
  })
})

describe('selection', () => {
  const selected = (search: string, more = {}) => selects(selectionOf(search), leg(more), 'departures')

  it('takes everything when nothing is asked for', () => {
    expect(selected('')).toBe(true)
    expect(selected('?airline=&lang=ar')).toBe(true)
  })

  it('is by operating and selling airline and by terminal', () => {
    expect(selected('?airline=b6')).toBe(true)
    expect(selected('?airline=AA')).toBe(false)
    expect(selected('?airline=AA,EI', { codeshares: [{ airline: 'EI', number: 1 }] })).toBe(true)
    expect(selected('?terminal=5', { dep_terminal: '5' })).toBe(true)
    expect(selected('?terminal=5')).toBe(false)
    expect(selected('?airline=B6&terminal=4', { dep_terminal: '5' })).toBe(false)
  })
})

describe('rows that fit', () => {
  it.each([[1920, 1080, 14], [1280, 720, 14], [3840, 2160, 14], [1080, 1920, 14], [1920, 900, 10], [1920, 300, 1]])(
    '%s x %s: %s', (width, height, rows) => {
      expect(rowsThatFit({ width, height })).toBe(rows)
    })
})
