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

/** From the first change that is not told yet: 20 changes within 5 s, and their way here, are one sentence. */
const SENTENCE_MS = 6_000

export function changedBetween(before: ReadonlyMap<string, Leg>, after: ReadonlyMap<string, Leg>): number {
  const keys = new Set([...before.keys(), ...after.keys()])
  return [...keys].filter((key) => before.get(key)?.version !== after.get(key)?.version).length
}

interface Sentence {
  text: string
  number: number
}

/** One merged sentence for screen readers; a board that caught up says nothing. */
function useSentence({ board, sentenceOf }: AttendantProps): Sentence {
  const [sentence, setSentence] = useState<Sentence>({ text: '', number: 0 })
  const told = useRef(board)
  const newest = useRef(board)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => {
    newest.current = board
    if (board === told.current || timer.current !== undefined) return
    timer.current = setTimeout(() => {
      timer.current = undefined
      const [before, now] = [told.current, newest.current]
      told.current = now
      const count = now.generation === before.generation ? changedBetween(before.legs, now.legs) : 0
      if (count > 0) setSentence(({ number }) => ({ text: sentenceOf(count), number: number + 1 }))
    }, SENTENCE_MS)
  }, [board, sentenceOf])
  useEffect(() => () => clearTimeout(timer.current), [])
  return sentence
}

export default function Attendant(props: AttendantProps) {
  useKeeping(props)
  useRenewal(props.present, props.slot)
  const { text, number } = useSentence(props)
  // A new element each time: the same words twice are read twice.
  return <p role="log" className="vh"><span key={number}>{text}</span></p>
}
