import type { Messages } from '@lingui/core'
import type { Speaker } from '../text'

/**
 * Speaks a compiled catalogue whose texts have plain arguments only, as those of screens must.
 * `isolated` keeps the direction of a value apart from that of the sentence around it.
 */
export function plainSpeaker(catalogue: Messages, isolated = false): Speaker {
  const put = (value: string | number | undefined) => (isolated ? `\u2068${value ?? ''}\u2069` : value)
  return (id, values = {}) => {
    const text = catalogue[id] ?? id
    if (typeof text === 'string') return text
    return text.map((part) => (typeof part === 'string' ? part : put(values[part[0]]))).join('')
  }
}
