import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Rgb, apart, contrast, seenBy, VISIONS } from '../testing/colour'

/** The values as they stand in the style sheets, so that a change of one is a change here. */
const SHEET = readFileSync('src/features/board/board.module.css', 'utf8')
const PASSENGER = readFileSync('src/passenger.css', 'utf8')
const TOKENS = readFileSync('src/tokens.css', 'utf8')

function parse(hex: string): Rgb {
  const full = hex.length === 4 ? hex.replace(/[\da-f]/gi, '$&$&') : hex
  return [1, 3, 5].map((start) => parseInt(full.slice(start, start + 2), 16) / 255) as unknown as Rgb
}

function found(sheet: string, pattern: RegExp): string {
  const hex = pattern.exec(sheet)?.[1]
  if (hex === undefined) throw new Error(`not in the sheet: ${String(pattern)}`)
  return hex
}

const own = (name: string) => found(SHEET, new RegExp(`--${name}:\\s*(#[\\da-f]+)`))
const both = (name: string): [light: string, dark: string] => {
  const pair = new RegExp(`--${name}:\\s*light-dark\\((#[\\da-f]+),\\s*(#[\\da-f]+)\\)`).exec(PASSENGER)
  if (!pair?.[1] || !pair[2]) throw new Error(`not in the sheet: ${name}`)
  return [pair[1], pair[2]]
}

const SIGN = found(TOKENS, /--sign:\s*(#[\da-f]+)/)
const SIGN_INK = found(TOKENS, /--sign-ink:\s*(#[\da-f]+)/)
const ON_TIME = found(SHEET, /\[data-tone='ok'\],\s*\.remark\[data-tone='neutral'\] \{\s*color: (#[\da-f]+)/)
const ROWS = /repeating-linear-gradient\((#[\da-f]+) 0 var\(--row\), (#[\da-f]+)/.exec(SHEET)!.slice(1, 3)
const HUES = { on_time: ON_TIME, boarding: own('ok'), gate: own('gate-hue'), delayed: own('delayed'), cancelled: own('critical') }

const ratio = (a: string, b: string) => contrast(parse(a), parse(b))

describe('colours of the board', () => {
  it('are the agreed ones', () => {
    expect({ ...HUES, sign: SIGN, ink: SIGN_INK, done: own('done') }).toEqual({
      on_time: '#dde3ea', boarding: '#35d69a', gate: '#9db8ff', delayed: '#ffb938', cancelled: '#ff5a4f',
      sign: '#ffc823', ink: '#14110a', done: '#7f8a98',
    })
  })

  it('every hue has at least 5.9:1 on both row grounds', () => {
    for (const [name, hue] of Object.entries(HUES)) {
      for (const ground of ROWS) expect(ratio(hue, ground), `${name} on ${ground}`).toBeGreaterThanOrEqual(5.9)
    }
  })

  it('signs and filled chips: ink on yellow 12.1, on green 10.1, stale bar 6.3', () => {
    expect(ratio(SIGN, SIGN_INK)).toBeCloseTo(12.1, 1)
    expect(ratio(HUES.boarding, SIGN_INK)).toBeCloseTo(10.1, 1)
    expect(ratio(HUES.cancelled, '#180804')).toBeCloseTo(6.3, 1)
  })

  it('departed rows can still be read', () => {
    for (const ground of ROWS) {
      expect(ratio(own('done'), ground)).toBeGreaterThanOrEqual(4.5)
      expect(ratio('#6f7a88', ground), `dim rows on ${ground}`).toBeGreaterThanOrEqual(4)
    }
  })

  it.each(VISIONS)('every pair of hues stays CIEDE2000 >= 13.5 apart in %s vision', (vision) => {
    const seen = Object.entries(HUES).map(([name, hue]) => [name, seenBy(vision, parse(hue))] as const)
    for (const [index, [one, a]] of seen.entries()) {
      for (const [other, b] of seen.slice(index + 1)) expect(apart(a, b), `${one} and ${other}`).toBeGreaterThanOrEqual(13.5)
    }
  })
})

describe('colours of passenger pages', () => {
  it.each([
    ['ink', 'bg'], ['ink2', 'bg'], ['ink3', 'bg'], ['ink', 'card'], ['ink2', 'card'], ['ink3', 'card'],
    ['warn-t', 'warn-bg'], ['ok-t', 'ok-bg'], ['crit-t', 'crit-bg'], ['info-t', 'info-bg'],
    ['warn-t', 'card'], ['ok-t', 'card'], ['crit-t', 'card'], ['info-t', 'card'], ['ink2', 'neutral-bg'], ['demo-ink', 'demo-bg'],
  ])('%s on %s has at least 4.5:1 in light and dark', (ink, ground) => {
    const [inks, grounds] = [both(ink), both(ground)]
    for (const side of [0, 1] as const) expect(ratio(inks[side], grounds[side])).toBeGreaterThanOrEqual(4.5)
  })
})
