import { useState } from 'react'
import { ageOf, dayAt, stampAt } from '../../format'
import { demoNote } from '../../components/demo'
import type { Present } from '../../hooks/live'
import { say } from '../../text'
import styles from './board.module.css'
import type { KeptBoard } from './kept'

/** The permanent label of simulated data. It cannot be hidden. */
export function DemoStrip({ present, zone }: { present: Present; zone: string | undefined }) {
  const at = present.board ?? present.confirmed
  const over = present.report?.replay?.over === true
  if (!(present.synthetic || over) || at === undefined) return null
  return (
    <p className={styles.demo} data-testid="demo">
      {say('demo.label', { day: dayAt(at, zone), speed: present.speed })}
      <i>{demoNote(present)}</i>
    </p>
  )
}

interface FootProps {
  present: Present
  zone: string | undefined
  kept?: KeptBoard | undefined
}

function words({ present, zone, kept }: FootProps): { state: string; detail: string } {
  const { verdict, confirmed } = present
  if (kept) {
    const values = { stamp: `${dayAt(kept.confirmed, zone)} ${stampAt(kept.confirmed, zone)}`, age: ageOf(Date.now() - kept.keptAt) }
    return { state: say('fresh.stale'), detail: say('fresh.stale.kept', values) }
  }
  if (confirmed === undefined) return { state: say('fresh.connecting'), detail: '' }
  const stamp = stampAt(confirmed, zone)
  if (verdict.state === 'live') return { state: say('fresh.live'), detail: say('fresh.live.stamp', { stamp }) }
  if (verdict.state === 'late') {
    return {
      state: say(`fresh.late.${verdict.cause}`),
      detail: say('fresh.late.stamp', { stamp, age: ageOf(verdict.ageMs) }),
    }
  }
  return { state: say('fresh.stale'), detail: say(`fresh.stale.${verdict.cause}`, { stamp }) }
}

export function FreshnessFoot(props: FootProps) {
  const { present } = props
  const { state, detail } = words(props)
  return (
    <div className={styles.fresh} data-state={present.verdict.state} data-cause={present.verdict.cause}>
      <span className={styles.dot} />
      <b role="status">{state}</b>
      <span>{detail}</span>
    </div>
  )
}

export function PageDots({ page, pages }: { page: number; pages: number }) {
  return (
    <div className={styles.pages} role="img" aria-label={say('board.page', { page: page + 1, pages })}>
      {pages > 1 && Array.from({ length: pages }, (_, index) => (
        <i key={index} className={index === page ? styles.on : undefined} />
      ))}
    </div>
  )
}

/** The way from the screen to the phone; gone when the server cannot draw the code. */
export function ScanBlock() {
  const [drawn, setDrawn] = useState(true)
  if (!drawn) return <div className={styles.scan} />
  return (
    <div className={styles.scan}>
      <div>
        <b>{say('board.follow')}</b>
        <span>{say('board.scan')}</span>
      </div>
      <img className={styles.qr} src="/api/qr.svg?path=/" alt="" onError={() => setDrawn(false)} />
    </div>
  )
}
