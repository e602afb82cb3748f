import { describe, expect, it } from 'vitest'
import { REMARK_KINDS } from '../live/remarks'
import board from './board/en.json'
import { messages as boardMessages } from './board/en.json?lingui'
import passenger from './en.json'
import screens from './screens/en.json'
import { messages as screenMessages } from './screens/en.json?lingui'

describe('catalogues', () => {
  it('no id is in two of them', () => {
    const ids = [board, passenger, screens].flatMap((catalogue) => Object.keys(catalogue))
    expect(ids).toHaveLength(new Set(ids).size)
  })

  it('what a board says has plain arguments only, as its speaker knows no others', () => {
    for (const text of Object.values({ ...boardMessages, ...screenMessages })) {
      for (const part of text as unknown[]) expect(Array.isArray(part) ? part.length : 1).toBe(1)
    }
  })

  it('every remark has a word', () => {
    for (const kind of REMARK_KINDS.filter((one) => one !== 'none')) expect(screens).toHaveProperty([`remark.${kind}`])
  })
})
