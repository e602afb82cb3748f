import { Problem } from '../../rest/client'
import type { MeTextId } from './words'

/** Why the server did not do it; its own words are English, so only what kind of answer it gave. */
export function reasonOf(error: unknown): MeTextId {
  if (!(error instanceof Problem)) return 'me.why.broken'
  if (error.status === 0) return 'me.why.away'
  if (error.status === 429) return 'me.why.often'
  return error.status < 500 ? 'me.why.refused' : 'me.why.broken'
}
