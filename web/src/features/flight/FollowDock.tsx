import { Suspense, lazy } from 'react'
import { Icon } from '../../components/icons'
import type { Leg } from '../../live/leg'
import { say } from '../../text'
import styles from './flight.module.css'
import { useFollow } from './useFollow'

const AlertSheet = lazy(() => import('./AlertSheet'))

export function FollowDock({ leg, alert }: { leg: Leg; alert: string | undefined }) {
  const { on, asking, failed, toggle } = useFollow(leg)
  const label = asking ? 'follow.asking' : on ? 'follow.on' : 'follow.idle'
  return (
    <div className={styles.dock}>
      <div>
        <button type="button" className={styles.cta} aria-pressed={on} disabled={asking} onClick={toggle}>
          <Icon name={on ? 'check' : 'bell'} />
          {say(label)}
        </button>
        {on && !failed ? (
          <Suspense fallback={<p role="status" />}><AlertSheet leg={leg} alert={alert} /></Suspense>
        ) : (
          <p role="status">{say(failed ? 'follow.failed' : 'follow.promise')}</p>
        )}
      </div>
    </div>
  )
}
