/** Airport-local times on a 24 h clock, by the zone of the airport and never of the browser. */
import { type Instant, MINUTE } from './live/leg'
import { languageNow, say } from './text'

/** Digits stay Latin in every language: gates and times must look the same on all screens. */
const LOCALES: Partial<Record<string, string>> = { ar: 'ar-u-ca-gregory-nu-latn' }
const LOCALE = 'en-GB'
const FALLBACK_ZONE = 'UTC'

type Shape = 'minute' | 'second' | 'day'

const SHAPES: Record<Shape, Intl.DateTimeFormatOptions> = {
  minute: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  second: { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
  day: { day: 'numeric', month: 'short', year: 'numeric' },
}

const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(shape: Shape, zone: string): Intl.DateTimeFormat {
  const locale = (shape === 'day' ? LOCALES[languageNow().lang] : undefined) ?? LOCALE
  const key = `${shape} ${zone} ${locale}`
  const held = formats.get(key)
  if (held !== undefined) return held
  const made = new Intl.DateTimeFormat(locale, { ...SHAPES[shape], timeZone: zone })
  formats.set(key, made)
  return made
}

function put(shape: Shape, ms: number, zone: string | undefined): string {
  return formatOf(shape, zone ?? FALLBACK_ZONE).format(ms)
}

export function timeAt(ms: number, zone: string | undefined): string {
  return put('minute', ms, zone)
}

export function timeOf(instant: Instant | undefined, zone: string | undefined): string {
  return instant === undefined ? '' : timeAt(Date.parse(instant), zone)
}

export function stampAt(ms: number, zone: string | undefined): string {
  return put('second', ms, zone)
}

export function dayAt(ms: number, zone: string | undefined): string {
  return put('day', ms, zone)
}

/** "1 h 17 min", "18 min". */
export function spanOf(minutes: number): string {
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60]
  const words = [
    ...(hours > 0 ? [say('span.hours', { hours })] : []),
    ...(rest > 0 || hours === 0 ? [say('span.minutes', { minutes: rest })] : []),
  ]
  return words.join(' ')
}

/** "41 s", "6 min", "1 h 4 min": how old something is. */
export function ageOf(ms: number): string {
  return ms < 2 * MINUTE ? say('span.seconds', { seconds: Math.max(0, Math.round(ms / 1000)) }) : spanOf(Math.floor(ms / MINUTE))
}
