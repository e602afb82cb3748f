import type { Messages } from '@lingui/core'
import type { Speaker } from '../text'

/** Speaks a compiled catalogue whose texts have plain arguments only, as those of screens must. */
export function plainSpeaker(catalogue: Messages): Speaker {
  return (id, values = {}) => {
    const text = catalogue[id] ?? id
    if (typeof text === 'string') return text
    return text.map((part) => (typeof part === 'string' ? part : values[part[0]])).join('')
  }
}
