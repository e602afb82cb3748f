import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { Link, useNavigate, useParams } from 'react-router'
import { Bar } from '../../components/Bar'
import { Notice, ProblemNotice, Skeleton } from '../../components/Notice'
import { Say } from '../../components/Say'
import { Icon } from '../../components/icons'
import shared from '../../components/passenger.module.css'
import { RemarkPictogram } from '../../components/pictograms'
import { stampAt, timeAt } from '../../format'
import { useFlight } from '../../hooks/flight'
import { type Present, usePresent, useStore } from '../../hooks/live'
import { useReceipt } from '../../hooks/receipts'
import { type Freshness, believable } from '../../live/freshness'
import { type Leg, flightNumber, isCancelled } from '../../live/leg'
import { flightSeed } from '../../live/reducer'
import { type Follow, rekeyed } from '../../rest/account'
import { Problem } from '../../rest/client'
import { readFlight } from '../../rest/flights'
import { FOLLOWS, flightQuery } from '../../rest/queries'
import { say, sayText } from '../../text'
import { FollowDock } from './FollowDock'
import { HistoryCard } from './HistoryCard'
import { JourneyCard } from './JourneyCard'
import { RouteCard } from './RouteCard'
import styles from './flight.module.css'
import { headline } from './headline'
import { useAlert, useTitle } from './useAlert'

/** `B69-2013-03-08-JFK-MCO` names its departure airport last but one. */
export function departureOf(key: string): string {
  return key.split('-').at(-2) ?? ''
}

function ShareButton({ title }: { title: string }) {
  const [shared, setShared] = useState(false)
  const share = async () => {
    try {
      // Phones share; other browsers lack the function, whatever the types say.
      if ('share' in (navigator as object)) await navigator.share({ title, url: window.location.href })
      else {
        await navigator.clipboard.writeText(window.location.href)
        setShared(true)
      }
    } catch {
      setShared(false)
    }
  }
  return (
    <>
      <button type="button" aria-label={say('app.share')} onClick={() => void share()}><Icon name="share" /></button>
      <span role="status" className="vh">{shared ? say('app.shared') : ''}</span>
    </>
  )
}

/** Stands above everything when what follows may be wrong. */
function Doubt({ present, zone }: { present: Present; zone: string | undefined }) {
  const store = useStore()
  const { verdict, confirmed } = present
  if (believable(verdict.state)) return null
  const time = confirmed === undefined ? undefined : timeAt(confirmed, zone)
  if (verdict.state === 'down' || time === undefined) {
    return (
      <div className={shared.warning}>
        <b>{time ? say('down.title', { time }) : say('down.never')}</b>{' '}
        <button type="button" className={styles.again} onClick={() => store.wake()}>{say('app.retry')}</button>
      </div>
    )
  }
  return (
    <div className={shared.warning}>
      <b>{say('stale.title')}</b> {say('stale.confirmed', { time })} {say(`stale.${verdict.cause}`)}
    </div>
  )
}

function Hero({ leg, boardNow, state }: { leg: Leg; boardNow: number; state: Freshness }) {
  const { kind, tone, chip, title, lines } = headline(leg, boardNow, state)
  return (
    <section className={styles.hero}>
      <span className={styles.chip} data-tone={tone}><RemarkPictogram kind={kind} />{sayText(chip)}</span>
      <h1>{sayText(title)}</h1>
      <p>{lines.map((line) => <span key={line.id}><Say {...line} /> </span>)}</p>
    </section>
  )
}

function Source({ leg, present }: { leg: Leg; present: Present }) {
  if (present.confirmed === undefined) return null
  const feeds = present.report?.feeds.map((feed) => feed.code).join(', ') ?? ''
  const values = { city: leg.dep_city ?? leg.dep_airport, stamp: stampAt(present.confirmed, leg.dep_tz), feeds }
  return <p className={styles.source}>{say(feeds ? 'source.line' : 'source.none', values)}</p>
}

function useLeg(key: string) {
  const navigate = useNavigate()
  const queries = useQueryClient()
  const { resource, flight } = useFlight(key)
  const read = useQuery({
    queryKey: flightQuery(key),
    queryFn: () => readFlight(key),
    retry: (failures, error) => !(error instanceof Problem && error.status >= 400 && error.status < 500) && failures < 3,
  })
  const moved = flight.movedTo ?? (read.data && read.data.key !== key ? read.data.key : undefined)
  useEffect(() => {
    if (moved === undefined) return
    // The follow stays with the leg, whatever its key.
    queries.setQueryData<Follow[]>(FOLLOWS, (held) => held && rekeyed(held, key, moved))
    void navigate(`/f/${moved}`, { replace: true })
  }, [queries, key, moved, navigate])
  useEffect(() => {
    if (read.data) resource.put(flightSeed(resource.get(), read.data))
  }, [resource, read.data])
  return { flight, leg: flight.leg ?? read.data, read }
}

export function FlightPage() {
  const { key = '' } = useParams()
  return <Flight key={key} legKey={key} />
}

function Flight({ legKey }: { legKey: string }) {
  const { flight, leg, read } = useLeg(legKey)
  const present = usePresent(departureOf(legKey))
  const { alert, close } = useAlert(flight)
  useReceipt(legKey, flight)
  const name = leg ? `${leg.airline} ${flightNumber(leg)}` : legKey
  useTitle(leg?.arr_city ? `${name} · ${leg.arr_city}` : name, flight.version)

  // Without board time no call to a gate may be believed.
  const state = present.board === undefined ? 'stale' : present.verdict.state
  const boardNow = present.board ?? 0
  return (
    <div className={`${shared.page} ${shared.docked}`} data-fresh={state} data-version={flight.version}>
      <Bar
        title={leg?.airline_name ? `${name} · ${leg.airline_name}` : name}
        present={present} zone={leg?.dep_tz} action={<ShareButton title={name} />}
      />
      <div role="alert" className={alert ? styles.alert : undefined} data-kind={alert?.kind}>
        {alert && <p>{sayText(alert.text)}</p>}
        {alert && <button type="button" aria-label={say('alert.close')} onClick={close}><Icon name="close" size={20} /></button>}
      </div>
      {leg ? (
        <main>
          {present.board !== undefined && <Doubt present={present} zone={leg.dep_tz} />}
          <Hero leg={leg} boardNow={boardNow} state={state} />
          <RouteCard leg={leg} boardNow={boardNow} state={state} />
          {!isCancelled(leg) && <JourneyCard leg={leg} boardNow={boardNow} state={state} />}
          <HistoryCard leg={leg} flight={flight} />
          <Source leg={leg} present={present} />
          <FollowDock leg={leg} alert={alert && sayText(alert.text)} />
        </main>
      ) : (
        <NoLeg legKey={legKey} error={read.error} retry={() => void read.refetch()} />
      )}
    </div>
  )
}

function NoLeg({ legKey, error, retry }: { legKey: string; error: unknown; retry: () => void }) {
  if (error === null) return <main><Skeleton /></main>
  if (error instanceof Problem && error.status >= 400 && error.status < 500) {
    return (
      <main>
        <Notice title={say('missing.title')} line={say('missing.line', { key: legKey })}>
          <Link to="/">{say('app.home')}</Link>
        </Notice>
      </main>
    )
  }
  return <main><ProblemNotice error={error} retry={retry} /></main>
}
