import { Icon } from '../../components/icons'
import { sameZone } from '../../components/passengerTime'
import shared from '../../components/passenger.module.css'
import { spanOf, timeOf } from '../../format'
import { type Freshness, believable } from '../../live/freshness'
import { type Leg, MINUTE } from '../../live/leg'
import { say } from '../../text'
import styles from './flight.module.css'
import { type Step, journey } from './journey'

function detailOf(step: Step, leg: Leg, boardNow: number, state: Freshness): string {
  const at = Date.parse(step.at)
  if (step.away) {
    return sameZone(at, leg.dep_tz, leg.arr_tz)
      ? say('journey.same_zone')
      : say('journey.zone', { city: leg.arr_city ?? leg.arr_airport })
  }
  const minutes = Math.round((at - boardNow) / MINUTE)
  return step.state === 'next' && minutes > 0 && believable(state) ? say('journey.in', { span: spanOf(minutes) }) : ''
}

function StepRow({ step, leg, boardNow, state }: { step: Step; leg: Leg; boardNow: number; state: Freshness }) {
  const zone = step.away ? leg.arr_tz : leg.dep_tz
  const [time, was] = [timeOf(step.at, zone), timeOf(step.was, zone)]
  const moved = was !== '' && was !== time
  const late = moved && Date.parse(step.at) > Date.parse(step.was ?? step.at)
  const detail = detailOf(step, leg, boardNow, state)
  return (
    <li className={styles.step} data-state={step.state} aria-current={step.state === 'next' ? 'step' : undefined}>
      <span className={styles.node}>{step.state === 'done' && <Icon name="check" size={14} stroke={3.4} />}</span>
      <span>
        <b>{say(step.id, { city: leg.arr_city ?? leg.arr_airport })}</b>
        {step.state === 'done' && <span className="vh"> ({say('journey.done')})</span>}
        {detail !== '' && <small>{detail}</small>}
      </span>
      <span className={styles.when} data-late={late}>
        {time}
        {moved && <s><span className="vh">{say('route.was')} </span>{was}</s>}
      </span>
    </li>
  )
}

export function JourneyCard({ leg, boardNow, state }: { leg: Leg; boardNow: number; state: Freshness }) {
  const steps = journey(leg, boardNow)
  if (steps.length === 0) return null
  return (
    <section className={`${shared.card} ${styles.journey}`}>
      <h2>{say('journey.title', { city: leg.dep_city ?? leg.dep_airport })}</h2>
      <ol>
        {steps.map((step) => <StepRow key={step.id} step={step} leg={leg} boardNow={boardNow} state={state} />)}
      </ol>
    </section>
  )
}
