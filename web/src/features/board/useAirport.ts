import { useEffect, useState } from 'react'

export interface Airport {
  iata: string
  name: string
  city: string
  country: string
  tz: string
}

const RETRY_MS = 30_000

/** The airport of the board; asked again until the server answers. The board does without axios. */
export function useAirport(iata: string): Airport | undefined {
  const [airport, setAirport] = useState<Airport>()
  useEffect(() => {
    const abort = new AbortController()
    let retry: ReturnType<typeof setTimeout> | undefined
    const ask = async () => {
      try {
        const response = await fetch(`/api/airports/${iata}`, { signal: abort.signal })
        if (response.status === 404) return
        if (!response.ok) throw new Error(`status ${response.status}`)
        setAirport((await response.json()) as Airport)
      } catch {
        if (!abort.signal.aborted) retry = setTimeout(() => void ask(), RETRY_MS)
      }
    }
    void ask()
    return () => {
      abort.abort()
      clearTimeout(retry)
    }
  }, [iata])
  return airport
}
