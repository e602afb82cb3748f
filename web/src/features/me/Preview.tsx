import { type QueryClient, keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query'
import { isCancelled, reached } from '../../live/leg'
import { bearerOf, listFollows } from '../../rest/account'
import { rest } from '../../rest/client'
import { readFlight } from '../../rest/flights'
import { FOLLOWS, flightQuery } from '../../rest/queries'
import type { Preferences } from './choices'
import styles from './me.module.css'
import { useWords } from './words'

interface Words {
  title: string
  body: string
}

/** The first followed flight that can still be late says how an alert will read, word by word. */
async function read(queries: QueryClient, keys: string[]): Promise<Words | null> {
  for (const key of keys) {
    try {
      const leg = await queries.query({ queryKey: flightQuery(key), queryFn: () => readFlight(key) })
      if (isCancelled(leg) || reached(leg, 'off_block')) continue
      return (await rest.get<Words>(`/me/follows/${encodeURIComponent(key)}/preview`, bearerOf())).data
    } catch {
      // It moved on, or was just left: the next may do.
    }
  }
  return null
}

const MOST = 5

export function Preview({ wishes, settled }: { wishes: Preferences; settled: boolean }) {
  const { say } = useWords()
  const queries = useQueryClient()
  const { data: follows = [] } = useQuery({ queryKey: FOLLOWS, queryFn: listFollows })
  const keys = follows.slice(0, MOST).map((one) => one.leg_key)
  const { data: words } = useQuery({
    queryKey: ['preview', keys, wishes], queryFn: () => read(queries, keys), enabled: settled && keys.length > 0,
    placeholderData: keepPreviousData,
  })
  if (!words || keys.length === 0) return null
  return (
    <figure className={styles.preview}>
      <figcaption>{say('me.preview')}</figcaption>
      <p><b>{words.title}</b><span>{words.body}</span></p>
    </figure>
  )
}
