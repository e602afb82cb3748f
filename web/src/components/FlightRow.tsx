import { Link } from 'react-router'
import { spanOf, timeOf } from '../format'
import type { Freshness } from '../live/freshness'
import { type Leg, flightNumber, isCancelled, minutesLate, timesOf } from '../live/leg'
import { DELAYED_FROM, remark } from '../live/remarks'
import { say } from '../text'
import { Icon } from './icons'
import { TONES } from './remarkTone'
import { weekdayAt } from './passengerTime'
import styles from './passenger.module.css'

interface FlightRowProps {
  leg: Leg
  boardNow: number
  state: Freshness
  /** A list of one airport names the city, a list of one person the route. */
  named: 'route' | 'city'
}

function status(leg: Leg, boardNow: number, state: Freshness): { tone: string; text: string } {
  const said = remark({ leg, movement: 'departures', airport: leg.dep_airport }, boardNow, state)
  const late = minutesLate(leg, 'departures') ?? 0
  if (said.kind === 'none') return { tone: 'neutral', text: '' }
  const text = said.kind === 'delayed' && late >= DELAYED_FROM
    ? say('list.late', { span: spanOf(late) })
    : say(`remark.${said.kind}`)
  return { tone: TONES[said.kind], text }
}

export function FlightRow({ leg, boardNow, state, named }: FlightRowProps) {
  const { due, best } = timesOf(leg, 'departures')
  const { tone, text } = status(leg, boardNow, state)
  const day = due && named === 'route' ? weekdayAt(Date.parse(due), leg.dep_tz) : undefined
  const gate = leg.dep_gate && !isCancelled(leg) ? say('list.gate', { gate: leg.dep_gate }) : undefined
  const facts = [`${leg.airline} ${flightNumber(leg)}`, day, gate].filter(Boolean).join(' · ')
  const [time, was] = [timeOf(best, leg.dep_tz), timeOf(due, leg.dep_tz)]
  return (
    <Link className={styles.row} to={`/f/${leg.key}`} data-leg={leg.key}>
      <span className={styles.route}>
        {named === 'city'
          ? (leg.arr_city ?? leg.arr_airport)
          : <>{leg.dep_airport} <Icon name="right" size={17} /> {leg.arr_airport}</>}
      </span>
      <span className={styles.time}>
        {!isCancelled(leg) && was !== '' && was !== time && (
          <small><span className="vh">{say('route.was')} </span><s>{was}</s></small>
        )}
        {isCancelled(leg) ? <s>{time}</s> : time}
      </span>
      <span className={styles.facts}>{facts}</span>
      <span className={styles.state} data-tone={tone}>{text}</span>
    </Link>
  )
}
