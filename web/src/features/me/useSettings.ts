import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { bearerOf } from '../../rest/account'
import { rest } from '../../rest/client'
import type { Preferences } from './choices'

const PREFERENCES = ['preferences'] as const
const PATH = '/me/preferences'

async function read(): Promise<Preferences> {
  return (await rest.get<Preferences>(PATH, bearerOf())).data
}

async function put(wishes: Preferences): Promise<Preferences> {
  return (await rest.put<Preferences>(PATH, wishes, bearerOf())).data
}

export type Saving = { state: 'idle' | 'saving' | 'saved' } | { state: 'failed'; fault: unknown }

export interface Settings {
  wishes: Preferences | undefined
  error: unknown
  retry: () => void
  /** What became of the last choice. */
  saving: Saving
  choose: (change: Change) => void
}

/** What is to be different, perhaps depending on what was chosen before, which a page may not show yet. */
export type Change = Partial<Preferences> | ((held: Preferences) => Partial<Preferences>)

/** Choices show at once and are written one after the other; after a refusal what was written last stands. */
export function useSettings(): Settings {
  const queries = useQueryClient()
  const { data, error, refetch } = useQuery({
    queryKey: PREFERENCES, queryFn: read, staleTime: Infinity, refetchOnMount: 'always', retry: 1,
  })
  const [saving, setSaving] = useState<Saving>({ state: 'idle' })
  const wanted = useRef<Preferences | undefined>(undefined)
  const busy = useRef(false)

  async function write(written: Preferences) {
    busy.current = true
    setSaving({ state: 'saving' })
    try {
      while (wanted.current !== undefined) {
        const wishes = wanted.current
        wanted.current = undefined
        written = await put(wishes)
      }
      setSaving({ state: 'saved' })
    } catch (fault) {
      wanted.current = undefined
      setSaving({ state: 'failed', fault })
      // Without an answer nobody knows what was written: the server's word stands as soon as it gives it.
      void refetch()
    }
    queries.setQueryData(PREFERENCES, written)
    busy.current = false
  }

  function choose(change: Change) {
    const held = queries.getQueryData<Preferences>(PREFERENCES)
    if (held === undefined) return
    wanted.current = { ...held, ...(typeof change === 'function' ? change(held) : change) }
    queries.setQueryData(PREFERENCES, wanted.current)
    if (!busy.current) void write(held)
  }

  return { wishes: data, error, retry: () => void refetch(), saving, choose }
}
