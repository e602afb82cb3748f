import { describe, expect, it } from 'vitest'
import notices from '../../locales/notices/en.json'
import { GROUPS, GROUP_NAMES, NIGHT, groupOn, stepped, switched, timesOfDay } from './choices'

const SAID_FOR_OTHERS = ['delay_reduced', 'on_time', 'test']
const ALL = GROUP_NAMES.flatMap((group) => [...GROUPS[group].usual, ...GROUPS[group].more])

describe('kinds', () => {
  it('every kind that can be said is in one group', () => {
    const said = Object.keys(notices).filter((id) => id.endsWith('.title')).map((id) => id.replace('.title', ''))
    expect([...ALL].sort()).toEqual(said.filter((kind) => !SAID_FOR_OTHERS.includes(kind)).sort())
  })

  it('without a choice the usual groups are on', () => {
    expect(GROUP_NAMES.filter((group) => groupOn(null, group))).toEqual(['state', 'gate', 'boarding', 'time', 'bags'])
  })

  it.each(GROUP_NAMES)('%s is switched alone, and back', (group) => {
    const once = switched(null, group)
    expect(groupOn(once, group)).toBe(!groupOn(null, group))
    for (const other of GROUP_NAMES.filter((one) => one !== group)) expect(groupOn(once, other)).toBe(groupOn(null, other))
    expect(groupOn(switched(once, group), group)).toBe(groupOn(null, group))
  })

  it('off is off for the last one too, and a finer choice of other groups stays', () => {
    expect(switched(['delay'], 'time')).toEqual([])
    expect(groupOn([], 'state')).toBe(false)
    expect(switched(['gate_assigned', 'first_bag'], 'bags')).toEqual(['gate_assigned'])
  })
})

it.each([
  [15, 1, 20], [15, -1, 10], [5, -1, undefined], [60, 1, undefined], [7, 1, 10], [7, -1, 5], [58, 1, 60], [6, -1, 5],
] as const)('a step of %i min, %i: %s', (minutes, by, next) => {
  expect(stepped(minutes, by)).toBe(next)
})

it('quiet hours end at another time than they begin', () => {
  expect(timesOfDay(NIGHT.start, NIGHT.end)).toHaveLength(47)
  expect(timesOfDay(NIGHT.start, NIGHT.end)).not.toContain('07:00')
  expect(timesOfDay('22:15', '07:00').slice(43, 46)).toEqual(['22:00', '22:15', '22:30'])
})
