/** A flight channel of the live store. */
import {
  EMPTY_FLIGHT, type FlightPublication, type FlightState, flightPublication, flightSubscribed,
} from './reducer'
import type { LiveStore, Resource } from './store'

export function flightOf(store: LiveStore, key: string): Resource<FlightState> {
  return store.channel<FlightState>(`flight:${key}`, 'stream', EMPTY_FLIGHT, (own) => ({
    subscribed: (position) => own.put(flightSubscribed(own.get(), position)),
    frame: ({ offset, data }) => own.put(flightPublication(own.get(), offset, data as FlightPublication)),
  }))
}
