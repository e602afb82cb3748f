import type { Instant, Leg, Movement } from '../live/leg'
import { rest } from './client'

export interface Airport {
  iata: string
  name: string
  city: string
  country: string
  tz: string
}

export async function readFlight(key: string): Promise<Leg> {
  return (await rest.get<Leg>(`/flights/${encodeURIComponent(key)}`)).data
}

export async function listFlights(airport: string, direction: Movement): Promise<Leg[]> {
  return (await rest.get<{ items: Leg[] }>('/flights', { params: { airport, direction } })).data.items
}

/** A change that the history tells: `{field: [before, after]}`; `feed` null is by hand, absent unknown. */
export interface PastChange {
  version: number
  at: Instant
  feed?: string | null
  kinds: string[]
  changed: Partial<Record<string, [unknown, unknown]>>
}

export interface HistoryPage {
  items: PastChange[]
  next: number | null
}

const CHANGES_PER_PAGE = 20

/** Newest first. */
export async function readHistory(key: string, after: number | undefined): Promise<HistoryPage> {
  const params = { limit: CHANGES_PER_PAGE, ...(after !== undefined && { after }) }
  return (await rest.get<HistoryPage>(`/flights/${encodeURIComponent(key)}/history`, { params })).data
}

export async function listAirports(): Promise<Airport[]> {
  return (await rest.get<{ items: Airport[] }>('/airports')).data.items
}

export async function readAirport(iata: string): Promise<Airport> {
  return (await rest.get<Airport>(`/airports/${iata}`)).data
}
