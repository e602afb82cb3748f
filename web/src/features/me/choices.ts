/** What may be chosen about alerts, as the page offers it. Pure. */

export interface Quiet {
  start: string
  end: string
  urgent_passes: boolean
}

export interface Preferences {
  /** Null: what is usual for the role of each follow. */
  kinds: string[] | null
  delay_step: number
  quiet: Quiet | null
  language: string
  zone: string
  hours: 12 | 24
}

/** Kinds that are switched together; `usual` are those that a passenger is told without a choice. */
export const GROUPS = {
  state: { usual: ['cancelled', 'reinstated', 'diverted', 'returned_to_gate', 'air_return'], more: [] },
  gate: { usual: ['gate_changed', 'terminal_changed'], more: ['gate_assigned'] },
  boarding: { usual: ['boarding', 'final_call', 'boarding_suspended'], more: ['gate_open', 'gate_closed'] },
  time: { usual: ['delay', 'early', 'schedule_change', 'next_info', 'inbound_late', 'connection_risk'], more: [] },
  air: { usual: [], more: ['departed', 'airborne', 'landed', 'arrived'] },
  bags: { usual: ['belt_assigned', 'belt_changed'], more: ['first_bag', 'last_bag'] },
  rest: { usual: [], more: ['check_in', 'check_in_closing', 'equipment_changed'] },
} as const satisfies Record<string, { usual: string[]; more: string[] }>

export type Group = keyof typeof GROUPS
export const GROUP_NAMES = Object.keys(GROUPS) as Group[]

function kindsOf(group: Group): readonly string[] {
  return [...GROUPS[group].usual, ...GROUPS[group].more]
}

function chosen(kinds: string[] | null): readonly string[] {
  return kinds ?? GROUP_NAMES.flatMap((group) => GROUPS[group].usual)
}

export function groupOn(kinds: string[] | null, group: Group): boolean {
  return chosen(kinds).some((kind) => kindsOf(group).includes(kind))
}

/** The kinds after a switch: on is what is usual of the group, or all of it where nothing is. */
export function switched(kinds: string[] | null, group: Group): string[] {
  const others = chosen(kinds).filter((kind) => !kindsOf(group).includes(kind))
  if (groupOn(kinds, group)) return others
  return [...others, ...(GROUPS[group].usual.length > 0 ? GROUPS[group].usual : GROUPS[group].more)]
}

const [STEP, LEAST, MOST] = [5, 5, 60]

/** The next delay step up or down; undefined at the end of the range. */
export function stepped(minutes: number, by: 1 | -1): number | undefined {
  const next = by > 0 ? Math.floor(minutes / STEP) * STEP + STEP : Math.ceil(minutes / STEP) * STEP - STEP
  return next < LEAST || next > MOST ? undefined : next
}

export const NIGHT: Quiet = { start: '22:00', end: '07:00', urgent_passes: true }

/** Each half hour but the other end of the span, and what is chosen already. */
export function timesOfDay(chosen: string, other: string): string[] {
  const halves = Array.from({ length: 48 }, (_, half) => `${String(half >> 1).padStart(2, '0')}:${half % 2 ? '30' : '00'}`)
  return [...new Set([...halves, chosen])].filter((time) => time !== other).sort()
}
