import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { Link } from 'react-router'
import shared from '../../components/passenger.module.css'
import { type Leg, flightNumber } from '../../live/leg'
import { type Follow, unfollow } from '../../rest/account'
import { readFlight } from '../../rest/flights'
import { FOLLOWS, flightQuery } from '../../rest/queries'
import styles from './me.module.css'
import { reasonOf } from './reason'
import { useWords } from './words'

function Places({ leg }: { leg: Leg }) {
  const { placeOf, dayOf } = useWords()
  return (
    <small>
      <bdi>{placeOf(leg.dep_airport, leg.dep_city)}</bdi> – <bdi>{placeOf(leg.arr_airport, leg.arr_city)}</bdi>
      {' · '}<bdi>{dayOf(leg.origin_date)}</bdi>
    </small>
  )
}

function Row({ legKey, stop }: { legKey: string; stop: () => void }) {
  const { say } = useWords()
  const { data: leg } = useQuery({ queryKey: flightQuery(legKey), queryFn: () => readFlight(legKey) })
  const name = leg ? `${leg.airline} ${flightNumber(leg)}` : legKey
  return (
    <li className={styles.line}>
      <Link to={`/f/${legKey}`}>
        <b><bdi>{name}</bdi></b>
        {leg && <Places leg={leg} />}
      </Link>
      <button type="button" className={styles.stop} aria-label={say('me.stop.of', { flight: name })} onClick={stop}>
        {say('me.stop')}
      </button>
    </li>
  )
}

export function Followed({ follows }: { follows: Follow[] }) {
  const { say } = useWords()
  const queries = useQueryClient()
  const heading = useRef<HTMLHeadingElement>(null)
  const [busy, setBusy] = useState(false)
  const [fault, setFault] = useState<unknown>()

  async function stop(key: string) {
    setBusy(true)
    try {
      await unfollow(key)
      queries.setQueryData<Follow[]>(FOLLOWS, (held = []) => held.filter((one) => one.leg_key !== key))
      setFault(undefined)
      // The button is gone, and with it the place of whoever goes by keyboard.
      heading.current?.focus()
    } catch (refusal) {
      setFault(refusal)
    }
    setBusy(false)
  }

  return (
    <section aria-labelledby="me-follows">
      <h2 id="me-follows" ref={heading} tabIndex={-1} className={shared.section}>{say('me.follows')}</h2>
      {follows.length === 0 ? <p className={shared.lead}>{say('me.no_follows')}</p> : (
        <ul className={`${shared.card} ${styles.list}`}>
          {follows.map(({ leg_key: key }) => (
            <Row key={key} legKey={key} stop={() => void (busy || stop(key))} />
          ))}
        </ul>
      )}
      {fault !== undefined && <p role="alert" className={styles.fault}>{say('me.failed', { why: say(reasonOf(fault)) })}</p>}
    </section>
  )
}
