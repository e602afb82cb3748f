import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { bearerOf } from '../../rest/account'
import { rest } from '../../rest/client'
import { say } from '../../text'
import { reasonOf } from './reason'
import type { Preferences } from './choices'

const PREFERENCES = ['preferences'] as const
const PATH = '/me/preferences'

async function read(): Promise<Preferences> {
  return (await rest.get<Preferences>(PATH, bearerOf())).data
}

export interface Settings {
  wishes: Preferences | undefined
  error: unknown
  retry: () => void
  /** What became of the last choice, in words. */
  word: string
  failed: boolean
  choose: (change: Partial<Preferences>) => void
}

/** Choices show at once and are written one after the other; after a refusal the server's word stands. */
export function useSettings(): Settings {
  const queries = useQueryClient()
  const { data, error, refetch } = useQuery({
    queryKey: PREFERENCES, queryFn: read, staleTime: Infinity, refetchOnMount: 'always', retry: 1,
  })
  const [fault, setFault] = useState<unknown>()
  const [open, setOpen] = useState<number | undefined>()
  const turn = useRef(Promise.resolve())

  async function write(wishes: Preferences) {
    try {
      await rest.put(PATH, wishes, bearerOf())
      setFault(undefined)
    } catch (refusal) {
      setFault(refusal)
      await refetch()
    }
    setOpen((count = 1) => count - 1)
  }

  function choose(change: Partial<Preferences>) {
    const held = queries.getQueryData<Preferences>(PREFERENCES)
    if (held === undefined) return
    const wishes = { ...held, ...change }
    queries.setQueryData(PREFERENCES, wishes)
    setOpen((count = 0) => count + 1)
    turn.current = turn.current.then(() => write(wishes))
  }

  const failed = fault !== undefined
  const state = open === undefined ? '' : say(open > 0 ? 'me.saving' : 'me.saved')
  return {
    wishes: data, error, retry: () => void refetch(), failed,
    word: failed ? say('me.failed', { why: reasonOf(fault) }) : state, choose,
  }
}
