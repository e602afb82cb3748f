/** Keys of what the passenger pages read by REST. */
export const FOLLOWS = ['follows'] as const
export const PUSH = ['push'] as const
export const AIRPORTS = ['airports'] as const

export function flightQuery(key: string) {
  return ['flight', key] as const
}

/** A restored database may count versions anew. */
export function historyQuery(key: string, epoch: string) {
  return ['history', key, epoch] as const
}

export function flightsQuery(airport: string) {
  return ['flights', airport] as const
}

export function airportQuery(iata: string) {
  return ['airport', iata] as const
}
