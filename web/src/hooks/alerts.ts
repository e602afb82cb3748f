import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { type Rung, abilitiesOf, knownRung, rungOfFailure } from '../push/ladder'
import { deviceId, readFirebase } from '../rest/push'
import { PUSH } from '../rest/queries'
import { DEVICE, useDevice } from './device'

export interface Alerts {
  /** Undefined while nobody was asked yet, or the server has not said what it can do. */
  rung: Rung | undefined
  /** Our own sheet may ask: the browser has not been asked, and something would come of it. */
  askable: boolean
  asking: boolean
  turnOn: () => void
  later: () => void
}

/** The way that alerts take to this browser, and the request to let them in. */
export function useAlerts(): Alerts {
  const { data: firebase } = useQuery({ queryKey: PUSH, queryFn: readFirebase, staleTime: Infinity })
  const queries = useQueryClient()
  const { off } = useDevice()
  const [tried, setTried] = useState<Rung | undefined>()
  const [asking, setAsking] = useState(false)
  const known = firebase === undefined ? undefined : knownRung(abilitiesOf(window, firebase !== null))
  const standing = known === undefined && deviceId() !== null && Notification.permission === 'granted' ? 'push' : known
  const reached = tried ?? standing
  const rung = reached === 'push' && off ? 'off' : reached

  async function ask(): Promise<Rung> {
    if (firebase === undefined || firebase === null) return 'unset'
    const permission = await Notification.requestPermission()
    if (permission !== 'granted') return permission === 'denied' ? 'denied' : 'page'
    const { registerBrowser } = await import('../push/register')
    await registerBrowser(firebase)
    await queries.invalidateQueries({ queryKey: DEVICE })
    return 'push'
  }

  function turnOn() {
    setAsking(true)
    void ask().catch(rungOfFailure).then(setTried).finally(() => setAsking(false))
  }

  return { rung, askable: firebase !== undefined && rung === undefined, asking, turnOn, later: () => setTried('page') }
}
