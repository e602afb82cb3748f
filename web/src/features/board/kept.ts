/** The last picture of each board, kept in this browser: what a screen shows when it starts without a server. */
import type { Leg } from '../../live/leg'
import type { Airport } from './useAirport'

export interface KeptBoard {
  airport: Airport
  legs: Leg[]
  /** Board time of the newest confirmation. */
  confirmed: number
  /** When it was kept, by the clock of this machine, which alone can say how long ago that was. */
  keptAt: number
  speed: number
  synthetic: boolean
}

const STORE = 'boards'

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('IndexedDB'))
  })
}

async function opened(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const request = indexedDB.open('gatecast', 1)
  request.onupgradeneeded = () => request.result.createObjectStore(STORE)
  return (await settled(request)).transaction(STORE, mode).objectStore(STORE)
}

/** Where the browser keeps nothing, a board starts empty. */
export async function readKept(board: string): Promise<KeptBoard | undefined> {
  try {
    return (await settled((await opened('readonly')).get(board))) as KeptBoard | undefined
  } catch {
    return undefined
  }
}

export async function keep(board: string, kept: KeptBoard): Promise<void> {
  try {
    await settled((await opened('readwrite')).put(kept, board))
  } catch {
    // A full or forbidden store costs the picture at the next start, never this one.
  }
}
