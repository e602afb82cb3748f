import { useEffect, useState } from 'react'
import type { Leg, Movement } from '../../live/leg'
import type { BoardState } from '../../live/reducer'
import { type Selection, selects } from './address'
import { type Screen, ordered, pageAt, pageCount, rowsThatFit, slotAt } from './rows'

export interface Page {
  legs: Leg[]
  page: number
  pages: number
  rows: number
}

function screenNow(): Screen {
  return { width: window.innerWidth, height: window.innerHeight }
}

export function useRowsThatFit(): number {
  const [rows, setRows] = useState(() => rowsThatFit(screenNow()))
  useEffect(() => {
    const measure = () => setRows(rowsThatFit(screenNow()))
    window.addEventListener('resize', measure)
    return () => window.removeEventListener('resize', measure)
  }, [])
  return rows
}

/**
 * The rows of the page that the server's wall clock has turned to. While a page is being read only
 * values change; rows come and go when it turns, or when the board caught up after a gap.
 */
export function useRows(
  board: BoardState, movement: Movement, wall: number | undefined, selection: Selection,
): Page {
  const rows = useRowsThatFit()
  const slot = slotAt(wall ?? 0)
  const turn = `${board.epoch}/${board.generation}/${slot}`
  const [held, setHeld] = useState<{ turn: string; legs: Leg[] }>({ turn: '', legs: [] })
  const current = held.turn === turn ? held : {
    turn, legs: ordered([...board.legs.values()].filter((leg) => selects(selection, leg, movement)), movement),
  }
  if (current !== held) setHeld(current)
  const pages = pageCount(current.legs.length, rows)
  const page = pageAt(slot, pages)
  const legs = current.legs
    .slice(page * rows, (page + 1) * rows)
    .map((leg) => board.legs.get(leg.key) ?? leg)
  return { legs, page, pages, rows }
}
