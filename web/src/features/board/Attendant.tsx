/** What a board does beside being looked at; loaded after the first paint. */
import { useEffect, useRef, useState } from 'react'
import type { Present } from '../../hooks/live'
import type { Leg } from '../../live/leg'
import type { BoardState } from '../../live/reducer'
import { type KeptBoard, keep } from './kept'
import { type Renewal, attendBoard } from './renewal'
import type { Airport } from './useAirport'

interface AttendantProps {
  name: string
  board: BoardState
  present: Present
  airport: Airport | undefined
  /** Number of the page turn. */
  slot: number
  /** Whether the board is worth keeping. */
  sound: boolean
  sentenceOf: (count: number) => string
}

/** Keeps the board with each page turn. */
function useKeeping({ name, board, present, airport, slot, sound }: AttendantProps): void {
  const newest = useRef<KeptBoard>(undefined)
  const { confirmed, speed, synthetic } = present
  const worth = sound && airport !== undefined && confirmed !== undefined
  useEffect(() => {
    newest.current = airport && confirmed !== undefined
      ? { airport, legs: [...board.legs.values()], confirmed, keptAt: Date.now(), speed, synthetic }
      : undefined
  })
  useEffect(() => {
    if (worth && newest.current) void keep(name, newest.current)
  }, [name, worth, slot])
}

/** Registers the service worker, and reloads the board for a new build only. */
function useRenewal(present: Present, slot: number): void {
  const held = useRef<Renewal>(undefined)
  const build = present.report?.build
  useEffect(() => {
    const made = attendBoard()
    held.current = made
    return () => made.close()
  }, [])
  useEffect(() => {
    if (build !== undefined) held.current?.announced(build)
  }, [build, slot])
  useEffect(() => held.current?.turned(), [slot])
}

const SENTENCE_MS = 5_000

export function changedBetween(before: ReadonlyMap<string, Leg>, after: ReadonlyMap<string, Leg>): number {
  const keys = new Set([...before.keys(), ...after.keys()])
  return [...keys].filter((key) => before.get(key)?.version !== after.get(key)?.version).length
}

/** One merged sentence for screen readers, at most every 5 s; a board that caught up says nothing. */
function useSentence({ board, sentenceOf }: AttendantProps): string {
  const [sentence, setSentence] = useState('')
  const newest = useRef(board)
  useEffect(() => {
    newest.current = board
  })
  useEffect(() => {
    let told = newest.current
    const timer = setInterval(() => {
      const now = newest.current
      const count = now.generation === told.generation ? changedBetween(told.legs, now.legs) : 0
      told = now
      if (count > 0) setSentence(sentenceOf(count))
    }, SENTENCE_MS)
    return () => clearInterval(timer)
  }, [sentenceOf])
  return sentence
}

export default function Attendant(props: AttendantProps) {
  useKeeping(props)
  useRenewal(props.present, props.slot)
  const sentence = useSentence(props)
  return <p role="log" className="vh">{sentence}</p>
}
