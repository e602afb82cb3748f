import type { Leg, Movement } from '../live/leg'
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

export async function listAirports(): Promise<Airport[]> {
  return (await rest.get<{ items: Airport[] }>('/airports')).data.items
}

export async function readAirport(iata: string): Promise<Airport> {
  return (await rest.get<Airport>(`/airports/${iata}`)).data
}
