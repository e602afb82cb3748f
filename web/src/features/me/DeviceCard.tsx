import shared from '../../components/passenger.module.css'
import { useAlerts } from '../../hooks/alerts'
import styles from './me.module.css'
import { useWords } from './words'

/** Whether alerts reach this browser, and the switch for it where the browser has not been asked. */
export function DeviceCard() {
  const { say } = useWords()
  const { rung, askable, asking, turnOn } = useAlerts()
  return (
    <section aria-labelledby="me-device">
      <h2 id="me-device" className={shared.section}>{say('me.device')}</h2>
      <div className={shared.card}>
        <p role="status" data-rung={rung} className={styles.line}>
          {rung ? say(`me.rung.${rung}`) : askable && say('me.rung.ask')}
        </p>
        {askable && (
          <p className={styles.line}>
            <button type="button" className={styles.main} onClick={() => asking || turnOn()}>
              {say(asking ? 'me.asking' : 'me.turn_on')}
            </button>
          </p>
        )}
      </div>
    </section>
  )
}
