import type { Movement } from '../../live/leg'

/** `/board/JFK/departures` */
export function boardAddress(path: string): { iata: string; movement: Movement } | undefined {
  const found = /^\/board\/([A-Za-z]{3})\/(departures|arrivals)\/?$/.exec(path)
  return found?.[1] && found[2] ? { iata: found[1].toUpperCase(), movement: found[2] as Movement } : undefined
}
