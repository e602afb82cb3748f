import { useEffect, useRef, useState } from 'react'
import { believable } from '../../live/freshness'
import type { Present } from '../../hooks/live'
import type { BoardState } from '../../live/reducer'
import type { KeptBoard } from './kept'
import type { Renewal } from './renewal'
import { slotAt } from './rows'
import type { Airport } from './useAirport'

/** A server that answers within this time needs no older picture in the meantime. */
const GRACE_MS = 1_500

/** The picture kept at the last start, while the server has not spoken yet. */
export function useKept(board: string, ready: boolean): KeptBoard | undefined {
  const [kept, setKept] = useState<KeptBoard>()
  useEffect(() => {
    if (ready) return
    const timer = setTimeout(() => {
      void import('./kept').then(({ readKept }) => readKept(board)).then(setKept, () => undefined)
    }, GRACE_MS)
    return () => clearTimeout(timer)
  }, [board, ready])
  return ready ? undefined : kept
}

/** Keeps the board with each page turn. */
export function useKeeping(name: string, board: BoardState, present: Present, airport: Airport | undefined): void {
  const newest = useRef<KeptBoard>(undefined)
  const slot = slotAt(present.wall ?? 0)
  const worth = board.ready && airport !== undefined && believable(present.verdict.state) && present.confirmed !== undefined
  useEffect(() => {
    newest.current = airport && present.confirmed !== undefined
      ? { airport, legs: [...board.legs.values()], confirmed: present.confirmed, keptAt: Date.now(), speed: present.speed, synthetic: present.synthetic }
      : undefined
  })
  useEffect(() => {
    const picture = newest.current
    if (worth && picture) void import('./kept').then(({ keep }) => keep(name, picture), () => undefined)
  }, [name, worth, slot])
}

/** Registers the service worker after the first paint, and reloads the board for a new build only. */
export function useRenewal(present: Present): void {
  const [renewal, setRenewal] = useState<Renewal>()
  const build = present.report?.build
  const slot = slotAt(present.wall ?? 0)
  useEffect(() => {
    let made: Renewal | undefined
    void import('./renewal').then(({ attendBoard }) => {
      made = attendBoard()
      setRenewal(made)
    }, () => undefined)
    return () => made?.close()
  }, [])
  useEffect(() => {
    if (build !== undefined) renewal?.announced(build)
  }, [renewal, build])
  useEffect(() => renewal?.turned(), [renewal, slot])
}
