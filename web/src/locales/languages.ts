/** The languages of boards. English is always there; the others come when a screen is set to them. */
import { plainSpeaker } from '../components/plainSpeaker'
import type { Language } from '../text'
import { messages } from './board/en.json?lingui'
import { messages as screens } from './screens/en.json?lingui'

const ENGLISH: Language = { lang: 'en', dir: 'ltr', speaker: plainSpeaker({ ...screens, ...messages }), places: {} }

const OTHERS = new Map<string, () => Promise<Language>>([
  ['ar', async () => {
    const { messages, places } = (await import('./arabic')).ARABIC
    return { lang: 'ar', dir: 'rtl', speaker: plainSpeaker(messages, true), places }
  }],
])

/** `en,ar` in the order asked for; what is unknown or does not load is left out, never the board. */
export async function languagesOf(asked: string | null): Promise<Language[]> {
  const wanted = [...new Set((asked ?? 'en').toLowerCase().split(','))]
  const found = await Promise.all(
    wanted.map(async (lang) => (lang === 'en' ? ENGLISH : OTHERS.get(lang)?.().catch(() => undefined))),
  )
  const known = found.filter((language) => language !== undefined)
  return known.length > 0 ? known : [ENGLISH]
}
