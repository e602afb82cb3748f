import { useEffect, useRef, useState } from 'react'
import { bearerOf } from '../../rest/account'
import { rest } from '../../rest/client'

export interface Arrival {
  device_id: string
  platform: 'android' | 'ios' | 'web'
  outcome: 'accepted' | 'printed' | 'refused' | 'unregistered' | 'paused' | 'unanswered'
}

export interface TestNotice {
  id: string
  state: 'pending' | 'sent' | 'undeliverable' | 'expired'
  took_ms: number | null
  devices: Arrival[]
}

export type Trial = { state: 'idle' | 'asking' } | { state: 'over'; notice: TestNotice } | { state: 'failed'; fault: unknown }

const PATH = '/me/test-notices'
const EACH_MS = 400

const pause = () => new Promise((resolve) => setTimeout(resolve, EACH_MS))

/** A test notice by the way of all notices; the server says when it has given it up. */
async function tried(wanted: () => boolean): Promise<TestNotice> {
  let notice = (await rest.post<TestNotice>(PATH, undefined, bearerOf())).data
  while (notice.state === 'pending' && wanted()) {
    await pause()
    notice = (await rest.get<TestNotice>(`${PATH}/${notice.id}`, bearerOf())).data
  }
  return notice
}

export function useTest(): { trial: Trial; ask: () => void } {
  const [trial, setTrial] = useState<Trial>({ state: 'idle' })
  const here = useRef(true)
  useEffect(() => {
    here.current = true
    return () => {
      here.current = false
    }
  }, [])

  function ask() {
    if (trial.state === 'asking') return
    setTrial({ state: 'asking' })
    tried(() => here.current).then(
      (notice) => setTrial({ state: 'over', notice }),
      (fault: unknown) => setTrial({ state: 'failed', fault }),
    )
  }

  return { trial, ask }
}
