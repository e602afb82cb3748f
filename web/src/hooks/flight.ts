import { useMemo } from 'react'
import { flightOf } from '../live/flights'
import { useResource, useStore } from './live'

export function useFlight(key: string) {
  const store = useStore()
  const resource = useMemo(() => flightOf(store, key), [store, key])
  return { resource, flight: useResource(resource) }
}
