/** A board channel of the live store. */
import type { Leg, Movement } from './leg'
import { EMPTY_BOARD, type BoardState, boardPublication, boardRecovered, boardSnapshot } from './reducer'
import type { LiveStore, Resource } from './store'

export function boardOf(store: LiveStore, iata: string, movement: Movement): Resource<BoardState> {
  return store.channel<BoardState>(`board:${iata}:${movement}`, 'map', EMPTY_BOARD, (own) => {
    let position = { epoch: '', offset: 0 }
    return {
      subscribed(at, recovered) {
        position = at
        if (recovered) own.put(boardRecovered(own.get()))
      },
      snapshot(frames) {
        const entries = frames.map(({ key = '', offset, data }) => ({ key, offset, leg: data as Leg }))
        own.put(boardSnapshot(own.get(), position, entries))
      },
      frame({ key = '', offset, removed, data }) {
        const publication = removed ? { key, offset, removed } : { key, offset, leg: data as Leg }
        own.put(boardPublication(own.get(), publication))
      },
    }
  })
}
