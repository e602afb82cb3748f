import { i18n } from '@lingui/core'
import { useState } from 'react'
import { ProblemNotice, Skeleton } from '../../components/Notice'
import shared from '../../components/passenger.module.css'
import { dayAt, timeAt, timeOf } from '../../format'
import type { Leg } from '../../live/leg'
import type { FlightState } from '../../live/reducer'
import type { PastChange } from '../../rest/flights'
import { say, sayText } from '../../text'
import styles from './flight.module.css'
import { useHistory } from './useHistory'

type Tell = (change: PastChange, leg: Leg) => string[]

async function loadTelling(): Promise<Tell> {
  const [{ toldBy }, { messages }] = await Promise.all([
    import('./told'), import('../../locales/history/en.json?lingui'),
  ])
  i18n.load('en', messages)
  return (change, leg) => toldBy(change, leg, timeOf).map(sayText)
}

/** A change that came live does not say yet which feed it is from. */
function sourceOf({ feed }: PastChange): string {
  if (feed === undefined) return ''
  return feed === null ? say('history.by_hand') : say('history.by', { feed })
}

interface RowProps {
  change: PastChange
  leg: Leg
  day: string | undefined
  tell: Tell
}

function ChangeRow({ change, leg, day, tell }: RowProps) {
  const by = sourceOf(change)
  return (
    <li className={styles.past} data-change={change.version}>
      <span className={styles.pastAt}>
        <time dateTime={change.at}>{timeAt(Date.parse(change.at), leg.dep_tz)}</time>
        {day && <small>{day}</small>}
      </span>
      <span>
        {tell(change, leg).map((sentence) => <b key={sentence}>{sentence}</b>)}
        {by !== '' && <small>{by}</small>}
      </span>
    </li>
  )
}

interface HistoryProps {
  leg: Leg
  flight: FlightState
}

function HistoryList({ leg, flight, tell }: HistoryProps & { tell: Tell }) {
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useHistory(leg.key, flight)
  if (!data) return error ? <ProblemNotice error={error} retry={() => void refetch()} /> : <Skeleton />
  const changes = data.pages.flatMap((page) => page.items)
  const days = changes.map(({ at }) => dayAt(Date.parse(at), leg.dep_tz))
  const own = leg.std && dayAt(Date.parse(leg.std), leg.dep_tz)
  return (
    <>
      <ol>
        {changes.map((change, index) => (
          <ChangeRow
            key={change.version} change={change} leg={leg} tell={tell}
            day={days[index] === (index === 0 ? own : days[index - 1]) ? undefined : days[index]}
          />
        ))}
      </ol>
      {hasNextPage && (
        <button type="button" className={styles.again} disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          {say('history.earlier')}
        </button>
      )}
    </>
  )
}

/** The timeline of what changed, newest first, in the time of the departure airport; read when somebody asks. */
export function HistoryCard({ leg, flight }: HistoryProps) {
  const [open, setOpen] = useState(false)
  const [telling, setTelling] = useState<{ tell?: Tell; error?: unknown }>({})

  function load() {
    loadTelling().then((tell) => setTelling({ tell }), (error: unknown) => setTelling({ error }))
  }

  function toggle() {
    if (!open && !telling.tell) load()
    setOpen(!open)
  }

  return (
    <section className={`${shared.card} ${styles.history}`}>
      <h2>
        <button type="button" aria-expanded={open} onClick={toggle}>
          {say('history.title', { city: leg.dep_city ?? leg.dep_airport })}
        </button>
      </h2>
      {open && telling.tell && <HistoryList leg={leg} flight={flight} tell={telling.tell} />}
      {open && telling.error !== undefined && <ProblemNotice error={telling.error} retry={load} />}
    </section>
  )
}
