import { Icon } from '../../components/icons'
import type { Leg } from '../../live/leg'
import { say } from '../../text'
import styles from './flight.module.css'
import { useFollow } from './useFollow'

export function FollowDock({ leg }: { leg: Leg }) {
  const { on, asking, failed, toggle } = useFollow(leg)
  const label = asking ? 'follow.asking' : on ? 'follow.on' : 'follow.idle'
  return (
    <div className={styles.dock}>
      <div>
        <button type="button" className={styles.cta} aria-pressed={on} disabled={asking} onClick={toggle}>
          <Icon name={on ? 'check' : 'bell'} />
          {say(label)}
        </button>
        <p role="status">{say(failed ? 'follow.failed' : 'follow.promise')}</p>
      </div>
    </div>
  )
}
