import { i18n } from '@lingui/core'
import { beforeAll, describe, expect, it } from 'vitest'
import { timeOf } from '../../format'
import { messages } from '../../locales/history/en.json?lingui'
import type { PastChange } from '../../rest/flights'
import { at, leg } from '../../testing/legs'
import { sayText, speakWith } from '../../text'
import { toldBy } from './told'

beforeAll(() => {
  i18n.load('en', messages)
  i18n.activate('en')
  speakWith((id, values) => i18n._(id, values))
})

const FACTS = leg({ std: at('17:36'), sta: at('20:29'), arr_tz: 'America/Chicago' })

function told(changed: PastChange['changed'], version = 2): string[] {
  return toldBy({ version, at: at('18:05'), kinds: [], changed }, FACTS, timeOf).map(sayText)
}

describe('a change is told', () => {
  it.each<[string, PastChange['changed'], string[]]>([
    ['a first gate', { dep_gate: [null, '22'] }, ['Gate 22']],
    ['a gate change, without its marks', { dep_gate: ['18', '22'], dep_gate_was: [null, '18'] }, ['Gate 22, not 18']],
    ['a gate that is gone', { dep_gate: ['18', null] }, ['Gate 18 withdrawn']],
    ['a first estimate, against the plan', { etd: [null, at('18:53')] }, ['Now leaves at 18:53, not 17:36']],
    ['an estimate that says the plan', { etd: [null, at('17:36')] }, ['Details changed']],
    ['a next estimate', { etd: [at('18:53'), at('19:10')] }, ['Now leaves at 19:10, not 18:53']],
    ['an estimate that is gone', { etd: [at('18:53'), null] }, ['No new departure time any more']],
    ['an arrival in its own zone', { eta: [null, at('21:30')] }, ['Now lands at 20:30, not 19:29']],
    ['a cancellation before a gate', { dep_gate: ['18', null], irregularity: ['none', 'cancelled'] },
      ['Cancelled', 'Gate 18 withdrawn']],
    ['a reinstatement', { irregularity: ['cancelled', 'none'] }, ['Not cancelled any more']],
    ['a diversion', { irregularity: ['none', 'diverted'], divert_city: [null, 'Tampa'] }, ['Goes to Tampa instead']],
    ['a diversion to nowhere known', { irregularity: ['none', 'diverted'] }, ['Goes to another airport']],
    ['a return', { irregularity: ['none', 'air_return'] }, ['Came back']],
    ['a phase', { phase: ['gate_open', 'boarding'], boarding_at: [null, at('18:05')] }, ['Boarding started']],
    ['a belt', { belts: [null, ['7', '8']] }, ['Bags on belt 7, 8']],
    ['another belt', { belts: [['7'], ['9']], belts_was: [null, ['7']] }, ['Bags on belt 9, not 7']],
    ['a doubt', { uncertain: [null, true] }, ['Not confirmed lately']],
    ['the end of a doubt', { uncertain: [true, null], dep_gate: ['18', '22'] }, ['Gate 22, not 18', 'Confirmed again']],
    ['what has no words', { aircraft_type: ['320', '321'] }, ['Details changed']],
    ['a phase without words', { phase: ['boarding', 'constructor'] }, ['Details changed']],
  ])('%s', (_, changed, sentences) => expect(told(changed)).toEqual(sentences))

  it('the first version is no change', () => expect(told({}, 1)).toEqual(['First known']))
})
