import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import shared from '../../components/passenger.module.css'
import { flightNumber } from '../../live/leg'
import { type Follow, unfollow } from '../../rest/account'
import { readFlight } from '../../rest/flights'
import { FOLLOWS, flightQuery } from '../../rest/queries'
import { say } from '../../text'
import styles from './me.module.css'
import { reasonOf } from './reason'

function Row({ legKey, stop, busy }: { legKey: string; stop: () => void; busy: boolean }) {
  const { data: leg } = useQuery({ queryKey: flightQuery(legKey), queryFn: () => readFlight(legKey) })
  const name = leg ? `${leg.airline} ${flightNumber(leg)}` : legKey
  return (
    <li className={styles.line}>
      <Link to={`/f/${legKey}`}>
        <b>{name}</b>
        {leg && <small>{leg.dep_city ?? leg.dep_airport} – {leg.arr_city ?? leg.arr_airport} · {leg.origin_date}</small>}
      </Link>
      <button type="button" aria-label={say('me.stop.of', { flight: name })} disabled={busy} onClick={stop}>{say('me.stop')}</button>
    </li>
  )
}

export function Followed({ follows }: { follows: Follow[] }) {
  const queries = useQueryClient()
  const [busy, setBusy] = useState<string | undefined>()
  const [fault, setFault] = useState<unknown>()

  async function stop(key: string) {
    setBusy(key)
    try {
      await unfollow(key)
      queries.setQueryData<Follow[]>(FOLLOWS, (held = []) => held.filter((one) => one.leg_key !== key))
      setFault(undefined)
    } catch (refusal) {
      setFault(refusal)
    }
    setBusy(undefined)
  }

  return (
    <section>
      <h2 className={shared.section}>{say('me.follows')}</h2>
      {follows.length === 0 ? <p className={shared.lead}>{say('me.no_follows')}</p> : (
        <ul className={`${shared.card} ${styles.list}`}>
          {follows.map(({ leg_key: key }) => (
            <Row key={key} legKey={key} busy={busy === key} stop={() => void stop(key)} />
          ))}
        </ul>
      )}
      {fault !== undefined && <p role="alert" className={styles.note}>{say('me.failed', { why: reasonOf(fault) })}</p>}
    </section>
  )
}
