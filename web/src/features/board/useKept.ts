import { useEffect, useState } from 'react'
import type { KeptBoard } from './kept'

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
