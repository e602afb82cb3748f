import type { ReactNode } from 'react'
import { useNavigate } from 'react-router'
import { ageOf, dayAt } from '../format'
import type { Present } from '../hooks/live'
import { say } from '../text'
import { demoNote } from './demo'
import { Icon } from './icons'
import styles from './passenger.module.css'

export function DemoLabel({ present, zone }: { present: Present; zone: string | undefined }) {
  const over = present.report?.replay?.over === true
  if (!(present.synthetic || over) || present.board === undefined) return null
  return (
    <p className={styles.demo} data-testid="demo">
      <b>{say('demo.label', { day: dayAt(present.board, zone), speed: present.speed })}</b>
      <span>{demoNote(present)}</span>
    </p>
  )
}

function words({ verdict }: Present): { state: string; age: string } {
  if (verdict.confirmedAt === undefined) return { state: say('fresh.connecting'), age: '' }
  const age = say('fresh.ago', { age: ageOf(verdict.ageMs) })
  if (verdict.state === 'live') return { state: say('fresh.live'), age }
  if (verdict.state === 'late') return { state: say(`fresh.late.${verdict.cause}`), age }
  return { state: say('fresh.stale'), age }
}

export function FreshnessLine({ present }: { present: Present }) {
  const { state, age } = words(present)
  return (
    <span className={styles.fresh} data-state={present.verdict.state} data-cause={present.verdict.cause}>
      <i className={styles.dot} />
      <span role="status">{state}</span>
      {age !== '' && <span>· {age}</span>}
    </span>
  )
}

interface BarProps {
  title: string
  present: Present
  zone: string | undefined
  action?: ReactNode
}

/** The head of each passenger page: where am I, how fresh is this, and the permanent demonstration label. */
export function Bar({ title, present, zone, action }: BarProps) {
  const navigate = useNavigate()
  const back = () => void navigate(window.history.length > 1 ? (-1 as never) : '/')
  return (
    <header className={styles.top}>
      <DemoLabel present={present} zone={zone} />
      <div className={styles.bar}>
        <button type="button" aria-label={say('app.back')} onClick={back}><Icon name="back" size={26} /></button>
        <div className={styles.mid}>
          <b>{title}</b>
          <FreshnessLine present={present} />
        </div>
        {action}
      </div>
    </header>
  )
}
