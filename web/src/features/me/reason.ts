import { Problem } from '../../rest/client'
import { say } from '../../text'

/** Why the server did not do it, in words for people. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Problem)) return say('error.line')
  return error.status === 0 ? say('error.offline') : (error.detail ?? say('error.line'))
}
