import { dayAt, timeAt } from '../format'

/** "Fri 8 Mar" */
export function weekdayAt(ms: number, zone: string | undefined): string {
  const shape = { weekday: 'short', day: 'numeric', month: 'short', timeZone: zone ?? 'UTC' } as const
  return new Intl.DateTimeFormat('en-GB', shape).format(ms)
}

/** Whether two zones show the same time at this instant. */
export function sameZone(ms: number, a: string | undefined, b: string | undefined): boolean {
  return timeAt(ms, a) === timeAt(ms, b) && dayAt(ms, a) === dayAt(ms, b)
}
