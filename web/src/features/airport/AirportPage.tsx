import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { useParams } from 'react-router'
import { Bar } from '../../components/Bar'
import { FlightRow } from '../../components/FlightRow'
import { ProblemNotice, Skeleton } from '../../components/Notice'
import shared from '../../components/passenger.module.css'
import { useBoard, usePresent } from '../../hooks/live'
import type { Leg } from '../../live/leg'
import { listFlights, readAirport } from '../../rest/flights'
import { airportQuery, flightsQuery } from '../../rest/queries'
import { say } from '../../text'
import styles from './airport.module.css'

function inOrder(legs: Iterable<Leg>): Leg[] {
  const due = (leg: Leg) => leg.std ?? ''
  return [...legs].sort((a, b) => (due(a) < due(b) ? -1 : due(a) > due(b) ? 1 : a.key < b.key ? -1 : 1))
}

/** The departures of an airport on a phone: first paint by REST, then the same channel as the screens. */
export function AirportPage() {
  const { iata = '' } = useParams()
  const code = iata.toUpperCase()
  const board = useBoard(code, 'departures')
  const present = usePresent(code)
  const airport = useQuery({ queryKey: airportQuery(code), queryFn: () => readAirport(code) })
  const read = useQuery({ queryKey: flightsQuery(code), queryFn: () => listFlights(code, 'departures') })
  const legs = board.ready ? inOrder(board.legs.values()) : read.data
  const state = present.board === undefined ? 'stale' : present.verdict.state
  const city = airport.data?.city ?? code
  useEffect(() => {
    document.title = say('home.departures_of', { city })
  }, [city])
  return (
    <div className={shared.page} data-fresh={state}>
      <Bar title={airport.data ? `${code} · ${city}` : code} present={present} zone={airport.data?.tz} />
      <main>
        <h1 className={shared.heading}>{say('airport.departures')}</h1>
        {!legs && (read.error ? <ProblemNotice error={read.error} retry={() => void read.refetch()} /> : <Skeleton />)}
        {legs?.length === 0 && <p className={shared.lead}>{say('airport.empty')}</p>}
        {legs && legs.length > 0 && (
          <div className={shared.card}>
            {legs.map((leg) => (
              <FlightRow key={leg.key} leg={leg} boardNow={present.board ?? 0} state={state} named="city" />
            ))}
          </div>
        )}
        <nav className={styles.screens}>
          <a href={`/board/${code}/departures`}>{say('home.screen.departures')}</a>
          <a href={`/board/${code}/arrivals`}>{say('home.screen.arrivals')}</a>
        </nav>
      </main>
    </div>
  )
}
