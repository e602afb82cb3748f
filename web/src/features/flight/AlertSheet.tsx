import { i18n } from '@lingui/core'
import { useEffect, useRef } from 'react'
import { Link } from 'react-router'
import { messages } from '../../locales/alerts/en.json?lingui'
import { type Leg, flightNumber } from '../../live/leg'
import { ring } from '../../push/hidden'
import { say } from '../../text'
import styles from './flight.module.css'
import { type Alerts, useAlerts } from '../../hooks/alerts'

i18n.load('en', messages)

/** Our own question comes before the browser's, which can be asked once only. */
function Sheet({ alerts }: { alerts: Alerts }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} className={styles.sheet} aria-labelledby="ask" onCancel={alerts.later}>
      <h2 id="ask">{say('alerts.ask.title')}</h2>
      <p>{say('alerts.ask.line')} {say('alerts.ask.stop')}</p>
      <button type="button" className={styles.cta} disabled={alerts.asking} onClick={alerts.turnOn}>
        {say(alerts.asking ? 'alerts.asking' : 'alerts.ask.yes')}
      </button>
      <button type="button" disabled={alerts.asking} onClick={alerts.later}>{say('alerts.ask.no')}</button>
    </dialog>
  )
}

/** What a follower is told about how alerts come; loaded once somebody follows. */
export default function AlertSheet({ leg, alert }: { leg: Leg; alert: string | undefined }) {
  const alerts = useAlerts()
  const pushed = alerts.rung === 'push' || alerts.rung === 'off'
  const name = `${leg.airline} ${flightNumber(leg)}`
  useEffect(() => {
    if (alert !== undefined && !pushed) void ring(name, alert, leg.key)
  }, [alert, pushed, name, leg.key])
  return (
    <>
      {alerts.askable && <Sheet alerts={alerts} />}
      <p role="status" data-rung={alerts.rung}>{alerts.rung && say(`alerts.rung.${alerts.rung}`)}</p>
      <p><Link to="/me">{say('alerts.settings')}</Link></p>
    </>
  )
}
