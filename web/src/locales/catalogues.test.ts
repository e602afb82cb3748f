import { describe, expect, it } from 'vitest'
import { type Language, placeOf, say, speakIn, speakWith } from '../text'
import arBoard from './board/ar.json'
import arScreens from './screens/ar.json'
import { languagesOf } from './languages'
import { REMARK_KINDS } from '../live/remarks'
import alerts from './alerts/en.json'
import board from './board/en.json'
import { messages as boardMessages } from './board/en.json?lingui'
import history from './history/en.json'
import me from './me/en.json'
import meAr from './me/ar.json'
import meEs from './me/es.json'
import passenger from './en.json'
import screens from './screens/en.json'
import { messages as screenMessages } from './screens/en.json?lingui'

describe('catalogues', () => {
  it('no id is in two of them', () => {
    const ids = [alerts, board, history, me, passenger, screens].flatMap((catalogue) => Object.keys(catalogue))
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

const argumentsOf = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort()

describe('Arabic', () => {
  it('says everything that a board says, with the same arguments', () => {
    const [english, arabic] = [{ ...board, ...screens }, { ...arBoard, ...arScreens }]
    expect(Object.keys(arabic).sort()).toEqual(Object.keys(english).sort())
    for (const [id, text] of Object.entries(english)) {
      expect(argumentsOf(arabic[id as keyof typeof arabic]), id).toEqual(argumentsOf(text))
    }
  })

  it('keeps values apart from the direction of the sentence, and names places', async () => {
    const [arabic] = await languagesOf('ar')
    speakIn(arabic as Language)
    expect(say('fresh.live.stamp', { stamp: '18:05:12' })).toBe('حتى \u206818:05:12\u2069')
    expect(placeOf('MCO', 'Orlando')).toBe('أورلاندو')
    expect(placeOf('XXX', 'Nowhere')).toBe('Nowhere')
    speakWith((id) => id)
  })

  it.each([[null, 'en'], ['ar', 'ar'], ['en,ar', 'en,ar'], ['AR,en,ar', 'ar,en'], ['xx', 'en'], ['constructor,ar', 'ar']])(
    '?lang=%s: %s', async (asked, langs) => {
      expect((await languagesOf(asked)).map(({ lang }) => lang).join()).toBe(langs)
    })
})

describe('settings', () => {
  it.each([['es', meEs], ['ar', meAr]] as const)('%s says everything, with the same arguments', (_, words) => {
    expect(Object.keys(words).sort()).toEqual(Object.keys(me).sort())
    for (const [id, text] of Object.entries(me)) {
      expect(argumentsOf(words[id as keyof typeof me]), id).toEqual(argumentsOf(text))
    }
  })

  it('no sentence stayed English', () => {
    const same = Object.entries(me).filter(([id, text]) => [meEs, meAr].some((words) => words[id as keyof typeof me] === text))
    expect(same.map(([id]) => id)).toEqual(['me.step.minutes'])
  })
})
