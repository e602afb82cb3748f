import type { ReactNode } from 'react'
import { Problem } from '../rest/client'
import { say } from '../text'
import styles from './passenger.module.css'

/** A sentence, its cause and the next step. */
export function Notice({ title, line, children }: { title: string; line?: string; children?: ReactNode }) {
  return (
    <section className={styles.notice}>
      <h1>{title}</h1>
      {line && <p>{line}</p>}
      {children}
    </section>
  )
}

export function ProblemNotice({ error, retry }: { error: unknown; retry: () => void }) {
  const problem = error instanceof Problem ? error : undefined
  const line = problem?.status === 0 ? say('error.offline') : (problem?.detail ?? say('error.line'))
  return (
    <Notice title={say('error.title')} line={line}>
      <button type="button" className={styles.retry} onClick={retry}>{say('app.retry')}</button>
      {problem?.requestId && <small>{say('app.request', { id: problem.requestId })}</small>}
    </Notice>
  )
}

/** Shown only when the answer is late, so that a quick page does not flash. */
export function Skeleton() {
  return (
    <div className={styles.skeleton} aria-hidden="true">
      <i /><i /><i />
    </div>
  )
}
