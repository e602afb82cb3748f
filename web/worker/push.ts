/** What a push becomes: one notice a flight and kind, never an older one after a newer. */
export interface Pushed {
  id: string
  leg: string
  tag: string
  v: number
  title: string
  body: string
  url: string
  /** Milliseconds since 1970; 0: never too late. */
  expires: number
  silent: boolean
}

/** The newest version that was shown, by tag, and the newest that a page showed, by leg. */
export interface Shown {
  tags: Partial<Record<string, { v: number; id: string }>>
  legs: Record<string, number>
}

export type Verdict = 'show' | 'repeat' | 'old' | 'seen' | 'late'

/** The `data` member of what Firebase Cloud Messaging delivers; undefined when it is not one of ours. */
export function pushed(payload: unknown): Pushed | undefined {
  const data = (payload as { data?: Partial<Record<string, string>> } | null)?.data
  // A test is about no leg.
  const { id, leg = '', title, body = '', v, version, tag = leg, url, exp, silent } = data ?? {}
  const number = Number(v ?? version)
  if (!id || !tag || !title || !Number.isInteger(number)) return undefined
  return {
    id,
    leg,
    tag,
    v: number,
    title,
    body,
    url: url?.startsWith('/') && !url.startsWith('//') ? url : leg ? `/f/${encodeURIComponent(leg)}` : '/',
    expires: exp ? (Number(exp) || 0) * 1000 : 0,
    silent: silent === '1' || silent === 'true',
  }
}

export function judge(push: Pushed, shown: Shown, now: number): Verdict {
  const before = shown.tags[push.tag]
  if (before?.id === push.id) return 'repeat'
  if (before !== undefined && push.v < before.v) return 'old'
  // Version 0: no version of the leg shows it, such as a late aircraft.
  if (push.v > 0 && (shown.legs[push.leg] ?? 0) >= push.v) return 'seen'
  return push.expires > 0 && now >= push.expires ? 'late' : 'show'
}

const MOST_KEPT = 200

/** Remembers the newest and forgets the oldest. */
export function remember(shown: Shown, push: Pushed): Shown {
  const tags = Object.entries(shown.tags).filter(([tag]) => tag !== push.tag).slice(1 - MOST_KEPT)
  return { ...shown, tags: Object.fromEntries([...tags, [push.tag, { v: push.v, id: push.id }]]) }
}

export function displayed(shown: Shown, leg: string, v: number): Shown {
  const { [leg]: before = 0, ...others } = shown.legs
  const legs = Object.entries(others).slice(1 - MOST_KEPT)
  return { ...shown, legs: Object.fromEntries([...legs, [leg, Math.max(before, v)]]) }
}
