/**
 * State of a board and of a flight as pure functions of snapshots and publications. The offset
 * decides: a publication that is not newer than what is held is dropped, so that
 * snapshot + publications always equals a fresh snapshot.
 */
import type { Change, Leg } from './leg'

export interface Position {
  epoch: string
  offset: number
}

export interface BoardEntry {
  key: string
  offset: number
  leg: Leg
}

export type BoardPublication =
  | { key: string; offset: number; leg: Leg }
  | { key: string; offset: number; removed: true }

export interface BoardState {
  epoch: string
  /** Highest offset applied. */
  offset: number
  /** Offset of the snapshot: publications up to it are part of it. */
  floor: number
  legs: ReadonlyMap<string, Leg>
  /** Offset of the newest word about each key, also about keys that left. */
  heard: ReadonlyMap<string, number>
  /** Rises whenever the board caught up with the server after a gap. */
  generation: number
  ready: boolean
}

export const EMPTY_BOARD: BoardState = {
  epoch: '', offset: 0, floor: 0, legs: new Map(), heard: new Map(), generation: 0, ready: false,
}

/** Words about departed keys are kept this far back; older publications cannot come any more. */
const KEPT_OFFSETS = 2_000
const PRUNE_ABOVE = 1_500

export function boardSnapshot(
  state: BoardState, position: Position, entries: readonly BoardEntry[],
): BoardState {
  return {
    epoch: position.epoch,
    offset: position.offset,
    floor: position.offset,
    legs: new Map(entries.map((entry) => [entry.key, entry.leg])),
    heard: new Map(entries.map((entry) => [entry.key, entry.offset])),
    generation: state.generation + 1,
    ready: true,
  }
}

/** The subscription continues from the held position; what was missed follows as publications. */
export function boardRecovered(state: BoardState): BoardState {
  return { ...state, generation: state.generation + 1 }
}

export function boardPublication(state: BoardState, publication: BoardPublication): BoardState {
  const { key, offset } = publication
  if (offset <= state.floor || offset <= (state.heard.get(key) ?? 0)) return state
  const legs = new Map(state.legs)
  if ('removed' in publication) legs.delete(key)
  else legs.set(key, publication.leg)
  const heard = new Map(state.heard).set(key, offset)
  const top = Math.max(state.offset, offset)
  return { ...state, offset: top, legs, heard: heard.size > PRUNE_ABOVE ? pruned(heard, legs, top) : heard }
}

function pruned(heard: Map<string, number>, legs: Map<string, Leg>, top: number): Map<string, number> {
  return new Map([...heard].filter(([key, offset]) => legs.has(key) || offset > top - KEPT_OFFSETS))
}

export interface FlightState {
  epoch: string
  /** Version of the leg held; 0 when none is. */
  version: number
  leg: Leg | undefined
  /** What the newest live publication changed; undefined for a first paint. */
  change: Change | undefined
  /** Whether `change` came while we were watching, not with the first reply. */
  witnessed: boolean
  movedTo: string | undefined
  /** The channel is open and what it held has been delivered. */
  ready: boolean
}

export const EMPTY_FLIGHT: FlightState = {
  epoch: '', version: 0, leg: undefined, change: undefined, witnessed: false, movedTo: undefined, ready: false,
}

export interface FlightPublication {
  leg?: Leg
  change?: Change
  moved_to?: string
}

/** A leg read by REST: a first paint, replaced by anything that the channel says. */
export function flightSeed(state: FlightState, leg: Leg): FlightState {
  return state.version >= leg.version ? state : { ...state, version: leg.version, leg, change: undefined }
}

export function flightSubscribed(state: FlightState, position: Position): FlightState {
  if (state.epoch === position.epoch) return { ...state, ready: true }
  // A seed of an unknown epoch may be kept on screen, but the channel alone counts versions.
  return { ...state, epoch: position.epoch, version: 0, ready: true, witnessed: false }
}

export function flightPublication(
  state: FlightState, offset: number, publication: FlightPublication,
): FlightState {
  if (publication.moved_to !== undefined) return { ...state, movedTo: publication.moved_to }
  const { leg, change } = publication
  if (leg === undefined || offset <= state.version) return state
  const known = state.leg !== undefined && state.leg.version < offset
  const witnessed = known && change !== undefined
  return { ...state, version: offset, leg, change, witnessed }
}
