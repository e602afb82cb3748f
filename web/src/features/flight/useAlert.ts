import { useEffect, useState } from 'react'
import { type Leg, isCancelled, reached } from '../../live/leg'
import type { FlightState } from '../../live/reducer'
import type { Text } from '../../text'

const ALERTING = ['cancelled', 'gate_changed', 'final_call'] as const

export interface Alert {
  kind: (typeof ALERTING)[number]
  text: Text
}

function holds(kind: Alert['kind'], leg: Leg): boolean {
  if (kind === 'cancelled') return isCancelled(leg)
  if (isCancelled(leg) || reached(leg, 'off_block')) return false
  return kind === 'final_call' ? leg.phase === 'final_call' : leg.dep_gate !== undefined && leg.dep_gate_was !== undefined
}

function textOf(kind: Alert['kind'], leg: Leg): Text {
  const { dep_gate: gate, dep_gate_was: was } = leg
  if (kind === 'cancelled') return { id: 'alert.cancelled', values: { airline: leg.airline_name ?? leg.airline } }
  if (kind === 'gate_changed') return { id: 'alert.gate_changed', values: { gate: gate ?? '', was: was ?? '' } }
  return gate ? { id: 'alert.final_call', values: { gate } } : { id: 'alert.final_call.no_gate' }
}

/** The sentence for a change that must not be missed, if it is one and still holds. */
export function alertOf(leg: Leg, kinds: readonly string[]): Alert | undefined {
  const kind = ALERTING.find((one) => kinds.includes(one) && holds(one, leg))
  return kind && { kind, text: textOf(kind, leg) }
}

/** The newest alert that came while the page was open; stays until closed, replaced or no longer true. */
export function useAlert(flight: FlightState): { alert: Alert | undefined; close: () => void } {
  const [held, setHeld] = useState<{ version: number; alert: Alert | undefined }>({ version: 0, alert: undefined })
  const { leg, version, witnessed, change } = flight
  if (witnessed && leg && version !== held.version) {
    const kept = held.alert && alertOf(leg, [held.alert.kind])
    setHeld({ version, alert: alertOf(leg, change?.kinds ?? []) ?? kept })
  }
  return { alert: held.alert, close: () => setHeld((now) => ({ ...now, alert: undefined })) }
}

/** Marks the title of a hidden page that has something new to tell. */
export function useTitle(title: string, version: number): void {
  const [seen, setSeen] = useState(version)
  useEffect(() => {
    const look = () => {
      if (document.visibilityState === 'visible') setSeen(version)
    }
    look()
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [version])
  useEffect(() => {
    document.title = seen !== version && seen !== 0 ? `(1) ${title}` : title
  }, [title, seen, version])
}
