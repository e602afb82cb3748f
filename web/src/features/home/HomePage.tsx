import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { Link } from 'react-router'
import { DemoLabel, FreshnessLine } from '../../components/Bar'
import { FlightRow } from '../../components/FlightRow'
import { ProblemNotice, Skeleton } from '../../components/Notice'
import { Icon } from '../../components/icons'
import shared from '../../components/passenger.module.css'
import { useFlight } from '../../hooks/flight'
import { usePresent } from '../../hooks/live'
import { useReceipt } from '../../hooks/receipts'
import { type Follow, listFollows } from '../../rest/account'
import { type Airport, listAirports, readFlight } from '../../rest/flights'
import { AIRPORTS, FOLLOWS, flightQuery } from '../../rest/queries'
import { say } from '../../text'
import styles from './home.module.css'

/** A followed flight stays live on the list, and what is shown here counts as seen. */
function Followed({ legKey }: { legKey: string }) {
  const queries = useQueryClient()
  const { flight } = useFlight(legKey)
  const present = usePresent(legKey.split('-').at(-2) ?? '')
  useReceipt(legKey, flight)
  useEffect(() => {
    if (flight.movedTo !== undefined) void queries.invalidateQueries({ queryKey: FOLLOWS })
  }, [queries, flight.movedTo])
  const state = present.board === undefined ? 'stale' : present.verdict.state
  const { data: read } = useQuery({ queryKey: flightQuery(legKey), queryFn: () => readFlight(legKey) })
  const leg = flight.leg ?? read
  return leg && <FlightRow leg={leg} boardNow={present.board ?? 0} state={state} named="route" />
}

function Follows({ follows }: { follows: Follow[] }) {
  if (follows.length === 0) return null
  return (
    <section>
      <h2 className={shared.section}>{say('home.follows')}</h2>
      <div className={shared.card}>
        {follows.map(({ leg_key: key }) => <Followed key={key} legKey={key} />)}
      </div>
    </section>
  )
}

function AirportRow({ airport }: { airport: Airport }) {
  return (
    <div className={styles.airport}>
      <Link to={`/airports/${airport.iata}`}>
        <b>{airport.iata}</b>
        <span>{airport.city}<small>{airport.name}</small></span>
      </Link>
      <a className={styles.board} href={`/board/${airport.iata}/departures`}>
        <Icon name="screen" size={18} /><span>{say('home.board')}</span>
      </a>
    </div>
  )
}

function Airports({ airports }: { airports: Airport[] }) {
  return (
    <section>
      <h2 className={shared.section}>{say('home.airports')}</h2>
      {airports.length === 0
        ? <p className={shared.lead}>{say('home.no_airports')}</p>
        : <div className={shared.card}>{airports.map((airport) => <AirportRow key={airport.iata} airport={airport} />)}</div>}
    </section>
  )
}

/** How fresh the server's word is, also here; taken at the first airport. */
function Top({ airport }: { airport: Airport }) {
  const present = usePresent(airport.iata)
  return (
    <header className={shared.top}>
      <DemoLabel present={present} zone={airport.tz} />
      <div className={styles.fresh}><FreshnessLine present={present} /></div>
    </header>
  )
}

export function HomePage() {
  const { data: follows = [] } = useQuery({ queryKey: FOLLOWS, queryFn: listFollows })
  const { data: airports, error, refetch } = useQuery({ queryKey: AIRPORTS, queryFn: listAirports })
  useEffect(() => {
    document.title = say('app.name')
  }, [])
  return (
    <div className={shared.page}>
      {airports?.[0] && <Top airport={airports[0]} />}
      <main>
        <h1 className={shared.heading}>{say('app.name')}</h1>
        <p className={shared.lead}>{say('home.lead')}</p>
        <Follows follows={follows} />
        {follows.length > 0 && <p className={shared.lead}><Link to="/me">{say('home.me')}</Link></p>}
        {airports
          ? <Airports airports={airports} />
          : error ? <ProblemNotice error={error} retry={() => void refetch()} /> : <Skeleton />}
      </main>
    </div>
  )
}
