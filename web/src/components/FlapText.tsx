import { useLayoutEffect, useRef } from 'react'

const FLIP_MS = 340
const CELL_DELAY_MS = 28
const FLIP = [
  { transform: 'rotateX(-88deg)', opacity: 0.25 },
  { transform: 'rotateX(0)', opacity: 1 },
]

interface FlapClasses {
  flap: string | undefined
  cell: string | undefined
}

function calm(): boolean {
  return window.matchMedia('(prefers-reduced-motion: reduce)').matches
}

/**
 * Fixed cells, of which only those whose character changed turn over. Always mounted, also without
 * text, so that a first value counts as a change while a new row does not.
 */
export function FlapText({ text, classes }: { text: string; classes: FlapClasses }) {
  const run = useRef<HTMLSpanElement>(null)
  const shown = useRef<string | undefined>(undefined)
  useLayoutEffect(() => {
    const before = shown.current
    shown.current = text
    if (before === undefined || before === text || calm()) return
    const cells = run.current?.children ?? []
    for (let index = 0; index < cells.length; index += 1) {
      if (before[index] !== text[index]) {
        cells[index]?.animate(FLIP, {
          duration: FLIP_MS, delay: index * CELL_DELAY_MS, easing: 'cubic-bezier(.2,.8,.2,1)', fill: 'backwards',
        })
      }
    }
  }, [text])
  return (
    <span ref={run} className={classes.flap} aria-hidden="true">
      {Array.from(text, (character, index) => (
        <span key={index} className={classes.cell}>{character}</span>
      ))}
    </span>
  )
}
