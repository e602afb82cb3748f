import { i18n } from '@lingui/core'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Freshness } from '../../live/freshness'
import type { Leg } from '../../live/leg'
import { messages } from '../../locales/en.json?lingui'
import { messages as screens } from '../../locales/screens/en.json?lingui'
import { VECTOR_LEG, at, leg, ms } from '../../testing/legs'
import { sayText, speakWith } from '../../text'
import { headline } from './headline'
import { journey } from './journey'
import { alertOf } from './useAlert'

beforeAll(() => {
  i18n.load('en', { ...screens, ...messages })
  i18n.activate('en')
  speakWith((id, values) => i18n._(id, values))
})

const NOW = ms('18:05')
const gate = { dep_gate: '22' }
const boarding = { boarding_plan: at('17:06'), boarding_est: at('18:23'), gate_close_est: at('18:38') }
const delayed = { std: at('17:36'), etd: at('18:53'), eta: at('21:30'), sta: at('20:29') }
const moved = { dep_gate_was: '18', dep_gate_at: at('17:59') }

function said(more: Partial<Leg>, state: Freshness = 'live') {
  const { chip, title, lines } = headline(leg(more), NOW, state)
  return [sayText(chip), sayText(title), lines.map(sayText).join(' ').replaceAll(/<\/?b>/g, '')]
}

describe('headline, first match wins', () => {
  it.each<[string, Partial<Leg>, [string, string, string]]>([
    ['cancelled', { irregularity: 'cancelled', ...delayed, ...gate, ...moved },
      ['Cancelled', 'This flight is cancelled', 'Ask JetBlue about another flight.']],
    ['diverted', { irregularity: 'diverted', divert_city: 'Tampa', phase: 'airborne' },
      ['Diverted', 'This flight goes to Tampa instead', 'Ask JetBlue what happens next.']],
    ['gate changed', { ...gate, ...moved, ...delayed, ...boarding },
      ['Gate changed', 'Go to gate 22, not 18', 'Boards at 18:23.']],
    ['final call', { phase: 'final_call', ...gate, ...boarding },
      ['Final call', 'Go to gate 22 now', 'The gate closes at 18:38.']],
    ['boarding', { phase: 'boarding', ...gate, ...boarding },
      ['Boarding', 'Boarding at gate 22', 'The gate closes at 18:38.']],
    ['boarding without a gate', { phase: 'boarding' }, ['Boarding', 'Boarding now', '']],
    ['gate open', { phase: 'gate_open', ...gate, ...boarding }, ['Go to gate', 'Go to gate 22', 'Boards at 18:23.']],
    ['gate closed', { phase: 'gate_closed', ...gate },
      ['Gate closed', 'The gate is closed', 'It leaves at 18:30 and lands at 21:00.']],
    ['delayed, boarding known', { ...gate, ...delayed, ...boarding },
      ['Delayed 1 h 17 min', 'Be at gate 22 by 18:23', 'Boarding starts in 18 min. It now leaves at 18:53 and lands at 21:30.']],
    ['delayed, no gate', { ...delayed, ...boarding },
      ['Delayed 1 h 17 min', 'Leaves at 18:53', 'The gate is not known yet. It will show here.']],
    ['delayed, only an old boarding plan', { ...gate, ...delayed, boarding_plan: at('18:20') },
      ['Delayed 1 h 17 min', 'Leaves at 18:53', 'From gate 22.']],
    ['overdue', { std: at('17:36'), ...gate }, ['Delayed', 'No new departure time yet', 'From gate 22.']],
    ['on time', { ...gate, boarding_plan: at('18:10') },
      ['On time', 'Be at gate 22 by 18:10', 'Boarding starts in 5 min. It leaves at 18:30 and lands at 21:00.']],
    ['on time, boarding should have begun', { ...gate, boarding_plan: at('18:00') }, ['On time', 'Leaves at 18:30', 'From gate 22.']],
    ['far ahead', { std: at('23:30') }, ['Scheduled', 'Leaves at 23:30', 'The gate is not known yet. It will show here.']],
    ['no times', { std: undefined, sta: undefined },
      ['Scheduled', 'We have no news of this flight', 'The gate is not known yet. It will show here.']],
    ['departed', { phase: 'off_block', atd: at('18:02'), eta: at('20:40') },
      ['Departed', 'Lands at 20:40', 'It left New York at 18:02.']],
    ['in the air', { phase: 'airborne', atot: at('18:02'), eta: at('20:40'), ...moved, ...gate },
      ['In the air', 'Lands at 20:40', 'It left New York at 18:02.']],
    ['landed with a belt', { phase: 'landed', aldt: at('20:38'), belts: ['7'] }, ['Landed', 'Bags on belt 7', '']],
    ['landed', { phase: 'landed', aldt: at('20:38') }, ['Landed', 'Landed at 20:38', '']],
    ['arrived', { phase: 'in_block', ata: at('20:45') }, ['Arrived', 'Arrived at 20:45', '']],
    ['bags done', { phase: 'bags_done', ata: at('20:45'), belts: ['7'] }, ['Bags delivered', 'All bags delivered', '']],
  ])('%s', (_, more, words) => {
    expect(said(more)).toEqual(words)
  })

  it('in stale nobody is sent to a gate', () => {
    for (const more of [{ phase: 'boarding' }, { phase: 'final_call' }, { phase: 'gate_open' }, moved, boarding] as Partial<Leg>[]) {
      const [, title, line] = said({ ...gate, ...more }, 'stale')
      expect(title).toBe('Leaves at 18:30')
      expect(line).toBe('Check your gate on the screens at the airport.')
    }
    expect(said({ irregularity: 'cancelled' }, 'stale')[1]).toBe('This flight is cancelled')
  })
})

describe('journey', () => {
  it('has the steps that the data knows, with old and new times', () => {
    const steps = journey(VECTOR_LEG, NOW)
    expect(steps.map((step) => step.id)).toEqual(['journey.boarding', 'journey.gate_closes', 'journey.departure', 'journey.arrival'])
    expect(steps[0]).toMatchObject({ at: '2013-03-08T23:23:00Z', was: '2013-03-08T22:06:00Z', state: 'next' })
    expect(steps.slice(1).every((step) => step.state === 'todo')).toBe(true)
  })

  it('is done by evidence, not by the clock', () => {
    const steps = journey(leg({ phase: 'off_block', atd: at('18:31'), boarding_est: at('17:40') }), NOW)
    expect(steps.map((step) => [step.id, step.state])).toEqual([
      ['journey.boarding', 'done'], ['journey.departure', 'done'], ['journey.arrival', 'next'],
    ])
    expect(journey(leg({ boarding_est: at('17:40') }), NOW)[0]?.state).toBe('next')
  })
})

describe('alert', () => {
  it('is for cancellation, gate change and final call only, and only while true', () => {
    const text = (more: Partial<Leg>, kinds: string[]) => {
      const alert = alertOf(leg(more), kinds)
      return alert && sayText(alert.text)
    }
    expect(text({ irregularity: 'cancelled' }, ['cancelled'])).toBe('This flight is cancelled. Ask JetBlue about another flight.')
    expect(text({ ...gate, ...moved }, ['delay', 'gate_changed'])).toBe('Gate changed. Go to gate 22, not 18.')
    expect(text({ ...gate, phase: 'final_call' }, ['final_call'])).toBe('Final call at gate 22.')
    expect(text({ ...gate, etd: at('19:30') }, ['delay'])).toBeUndefined()
    expect(text(gate, ['cancelled'])).toBeUndefined()
    expect(text({ ...gate, phase: 'gate_closed' }, ['final_call'])).toBeUndefined()
  })
})
