import { i18n } from '@lingui/core'
import { type ComponentType, useState } from 'react'
import { ProblemNotice } from '../../components/Notice'
import shared from '../../components/passenger.module.css'
import { say } from '../../text'
import type { HistoryProps } from './HistoryList'
import styles from './flight.module.css'

type List = ComponentType<HistoryProps>

async function loadList(): Promise<List> {
  const [{ HistoryList }, { messages }] = await Promise.all([
    import('./HistoryList'), import('../../locales/history/en.json?lingui'),
  ])
  i18n.load('en', messages)
  return HistoryList
}

/** The timeline of what changed, newest first, in the time of the departure airport; read when somebody asks. */
export function HistoryCard({ leg, flight }: HistoryProps) {
  const [open, setOpen] = useState(false)
  const [loaded, setLoaded] = useState<{ List?: List; error?: unknown }>({})

  function load() {
    loadList().then((List) => setLoaded({ List }), (error: unknown) => setLoaded({ error }))
  }

  function toggle() {
    if (!open && !loaded.List) load()
    setOpen(!open)
  }

  return (
    <section className={`${shared.card} ${styles.history}`}>
      <h2>
        <button type="button" aria-expanded={open} onClick={toggle}>
          {say('history.title', { city: leg.dep_city ?? leg.dep_airport })}
        </button>
      </h2>
      {open && loaded.List && <loaded.List leg={leg} flight={flight} />}
      {open && loaded.error !== undefined && <ProblemNotice error={loaded.error} retry={load} />}
    </section>
  )
}
