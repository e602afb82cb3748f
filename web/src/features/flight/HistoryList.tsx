import { ProblemNotice, Skeleton } from '../../components/Notice'
import { dayAt, timeAt, timeOf } from '../../format'
import type { Leg } from '../../live/leg'
import type { FlightState } from '../../live/reducer'
import type { PastChange } from '../../rest/flights'
import { say, sayText } from '../../text'
import styles from './flight.module.css'
import { toldBy } from './told'
import { useHistory } from './useHistory'

/** A change that came live does not say yet which feed it is from. */
function sourceOf({ feed }: PastChange): string {
  if (feed === undefined) return ''
  return feed === null ? say('history.by_hand') : say('history.by', { feed })
}

interface RowProps {
  change: PastChange
  leg: Leg
  day: string | undefined
}

function ChangeRow({ change, leg, day }: RowProps) {
  const by = sourceOf(change)
  return (
    <li className={styles.past} data-change={change.version}>
      <span className={styles.pastAt}>
        <time dateTime={change.at}>{timeAt(Date.parse(change.at), leg.dep_tz)}</time>
        {day && <small>{day}</small>}
      </span>
      <span>
        {toldBy(change, leg, timeOf).map(sayText).map((sentence) => <b key={sentence}>{sentence}</b>)}
        {by !== '' && <small>{by}</small>}
      </span>
    </li>
  )
}

export interface HistoryProps {
  leg: Leg
  flight: FlightState
}

export function HistoryList({ leg, flight }: HistoryProps) {
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
            key={change.version} change={change} leg={leg}
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
