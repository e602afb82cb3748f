import { PlaneIcon } from '../../components/icons'
import shared from '../../components/passenger.module.css'
import { spanOf, timeOf } from '../../format'
import { type Freshness, believable } from '../../live/freshness'
import {
  type Leg, MINUTE, type Movement, gateMoved, isCancelled, minutesLate, msOf, reached, timesOf,
} from '../../live/leg'
import { DELAYED_FROM } from '../../live/remarks'
import { say } from '../../text'
import styles from './flight.module.css'

interface CardProps {
  leg: Leg
  boardNow: number
  state: Freshness
}

function End({ leg, movement }: { leg: Leg; movement: Movement }) {
  const departing = movement === 'departures'
  const zone = departing ? leg.dep_tz : leg.arr_tz
  const code = departing ? leg.dep_airport : leg.arr_airport
  const city = departing ? leg.dep_city : leg.arr_city
  const { due, best } = timesOf(leg, movement)
  const [now, was] = [timeOf(best, zone), timeOf(due, zone)]
  const late = (minutesLate(leg, movement) ?? 0) >= DELAYED_FROM
  const cancelled = isCancelled(leg)
  return (
    <div className={styles.end}>
      <span className={styles.code}>{code}</span>
      <span className={styles.city}>{city ?? ''}</span>
      {now !== '' && (
        <span className={styles.now} data-late={late && !cancelled}>{cancelled ? <s>{was || now}</s> : now}</span>
      )}
      {!cancelled && was !== '' && was !== now && (
        <span className={styles.was}><span className="vh">{say('route.was')} </span><s>{was}</s></span>
      )}
    </div>
  )
}

/** How far the flight has come, in percent of its way. */
function progress(leg: Leg, boardNow: number): number {
  if (reached(leg, 'landed')) return 100
  const left = msOf(leg.atot ?? leg.atd)
  const lands = msOf(timesOf(leg, 'arrivals').best)
  if (!reached(leg, 'off_block') || left === undefined || lands === undefined || lands <= left) return 0
  return Math.min(97, Math.max(3, ((boardNow - left) / (lands - left)) * 100))
}

function Track({ leg, boardNow }: { leg: Leg; boardNow: number }) {
  const [leaves, lands] = [msOf(timesOf(leg, 'departures').best), msOf(timesOf(leg, 'arrivals').best)]
  const span = leaves !== undefined && lands !== undefined && lands > leaves
    ? spanOf(Math.round((lands - leaves) / MINUTE))
    : ''
  return (
    <div className={styles.track} style={{ ['--p' as string]: progress(leg, boardNow) / 100 }}>
      <PlaneIcon />
      <small>
        {span}
        {leg.aircraft_type && <><br />{leg.aircraft_type}</>}
      </small>
    </div>
  )
}

interface Fact {
  id: 'fact.gate' | 'fact.terminal' | 'fact.belt'
  value: string | undefined
  note?: string | undefined
  changed?: boolean
}

function gateNote(leg: Leg, boardNow: number): string | undefined {
  const at = msOf(leg.dep_gate_at)
  return leg.dep_gate && leg.dep_gate_was && leg.dep_gate !== leg.dep_gate_was && at !== undefined
    ? say('fact.changed', { was: leg.dep_gate_was, age: spanOf(Math.max(1, Math.floor((boardNow - at) / MINUTE))) })
    : undefined
}

/** Facts of the end that matters now; only those that the feeds told. The gate of a departure is always asked for. */
export function factsOf(leg: Leg, boardNow: number): Fact[] {
  if (isCancelled(leg)) return []
  const facts: Fact[] = reached(leg, 'off_block')
    ? [
        { id: 'fact.gate', value: leg.arr_gate },
        { id: 'fact.terminal', value: leg.arr_terminal },
        { id: 'fact.belt', value: leg.belts?.join(', ') },
      ]
    : [
        {
          id: 'fact.gate', value: leg.dep_gate,
          note: leg.dep_gate ? gateNote(leg, boardNow) : say('fact.unknown'),
          changed: leg.dep_gate !== undefined,
        },
        { id: 'fact.terminal', value: leg.dep_terminal },
        { id: 'fact.belt', value: leg.belts?.join(', ') },
      ]
  const known = facts.filter((fact) => fact.value !== undefined)
  return reached(leg, 'off_block') ? known : facts.filter((fact) => known.includes(fact) || fact.id === 'fact.gate')
}

export function RouteCard({ leg, boardNow, state }: CardProps) {
  const facts = factsOf(leg, boardNow)
  const doubtful = !believable(state)
  return (
    <section
      className={shared.card}
      aria-label={say('route.label', { from: leg.dep_city ?? leg.dep_airport, to: leg.arr_city ?? leg.arr_airport })}
    >
      <div className={styles.ends}>
        <End leg={leg} movement="departures" />
        <Track leg={leg} boardNow={boardNow} />
        <End leg={leg} movement="arrivals" />
      </div>
      {facts.length > 0 && (
        <dl className={styles.facts} data-doubtful={doubtful}>
          {facts.map((fact) => (
            <div key={fact.id} className={styles.fact}>
              <dt>{say(fact.id)}</dt>
              <dd>
                {fact.id === 'fact.gate' && fact.value
                  ? <bdi className={styles.gate} data-moved={!doubtful && gateMoved(leg, boardNow)}>{fact.value}</bdi>
                  : (fact.value ?? '–')}
                {fact.note && <small data-changed={fact.changed}>{fact.note}</small>}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  )
}
