import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useStore } from '../../hooks/live'
import { type Follow, follow, listFollows, unfollow } from '../../rest/account'
import type { Leg } from '../../live/leg'
import { FOLLOWS } from '../../rest/queries'

export interface Following {
  on: boolean
  asking: boolean
  failed: boolean
  toggle: () => void
}

/** Whether this browser's account follows the flight, and the switch for it. */
export function useFollow(leg: Leg): Following {
  const store = useStore()
  const queries = useQueryClient()
  const { data = [] } = useQuery({ queryKey: FOLLOWS, queryFn: listFollows })
  const on = data.some((held) => held.leg_key === leg.key)
  const [asking, setAsking] = useState(false)
  const [failed, setFailed] = useState(false)

  async function change(wanted: boolean) {
    if (!wanted) await unfollow(leg.key)
    else if ((await follow(leg.key)).opened) store.identify()
    queries.setQueryData<Follow[]>(FOLLOWS, (held = []) => {
      const others = held.filter((one) => one.leg_key !== leg.key)
      return wanted ? [...others, { leg_key: leg.key, created_at: new Date().toISOString() }] : others
    })
  }

  function toggle() {
    setAsking(true)
    change(!on)
      .then(() => setFailed(false), () => setFailed(true))
      .finally(() => setAsking(false))
  }

  return { on, asking, failed, toggle }
}
