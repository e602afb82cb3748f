import { type Leg, type Movement, numbersOf } from '../../live/leg'

/** `/board/JFK/departures` */
export function boardAddress(path: string): { iata: string; movement: Movement } | undefined {
  const found = /^\/board\/([A-Za-z]{3})\/(departures|arrivals)\/?$/.exec(path)
  return found?.[1] && found[2] ? { iata: found[1].toUpperCase(), movement: found[2] as Movement } : undefined
}

/** What a screen leaves out; an empty list leaves out nothing. */
export interface Selection {
  airlines: string[]
  terminals: string[]
}

/** `?airline=B6,AA&terminal=5` */
export function selectionOf(search: string): Selection {
  const asked = new URLSearchParams(search)
  const codes = (name: string) =>
    (asked.get(name) ?? '').toUpperCase().split(',').map((code) => code.trim()).filter(Boolean)
  return { airlines: codes('airline'), terminals: codes('terminal') }
}

/** An airline's screen also has the flights that it only sells. */
export function selects({ airlines, terminals }: Selection, leg: Leg, movement: Movement): boolean {
  const terminal = movement === 'departures' ? leg.dep_terminal : leg.arr_terminal
  return (
    (airlines.length === 0 || numbersOf(leg).some(({ airline }) => airlines.includes(airline))) &&
    (terminals.length === 0 || (terminal !== undefined && terminals.includes(terminal.toUpperCase())))
  )
}
