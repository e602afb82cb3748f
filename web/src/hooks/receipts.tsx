import { createContext, use, useEffect } from 'react'
import type { FlightState } from '../live/reducer'
import type { Receipts } from '../live/receipts'

const ReceiptsContext = createContext<Receipts | null>(null)

export const ReceiptsProvider = ReceiptsContext.Provider

/** Says that this state of a flight is on screen; runs after the paint. */
export function useReceipt(key: string, state: FlightState): void {
  const receipts = use(ReceiptsContext)
  const shown = state.leg?.version === state.version ? state.version : 0
  useEffect(() => {
    if (shown > 0 && state.epoch !== '') receipts?.rendered(key, shown, state.epoch)
  }, [receipts, key, shown, state.epoch])
  useEffect(() => () => receipts?.left(key), [receipts, key])
}

/** Kinds of input that only a person makes; a scroll may also be made by the page. */
const INPUTS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart', 'touchmove'] as const

/** Tells the receipts about input and about the page being looked at again. */
export function attendTo(receipts: Receipts, target: Window): void {
  const touched = (input: Event) => {
    if (input.isTrusted) receipts.touched()
  }
  for (const kind of INPUTS) target.addEventListener(kind, touched, { passive: true, capture: true })
  target.document.addEventListener('visibilitychange', () => receipts.again())
}
