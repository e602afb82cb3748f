import { describe, expect, it } from 'vitest'
import { displayed, judge, pushed, remember } from '../../worker/push'
import { knownRung, rungOfFailure } from './ladder'

const DATA = { id: 'e:7', leg: 'B69-2013-03-08-JFK-MCO', tag: 'B69:gate', v: '12', title: 'B6 9: gate now C3', exp: '100' }
const NOTHING = { tags: {}, legs: {} }

function push(changes: Partial<Record<string, string>> = {}) {
  const found = pushed({ from: '1', data: { ...DATA, ...changes } })
  if (found === undefined) throw new Error('not a push of ours')
  return found
}

describe('a push', () => {
  it('of somebody else is left alone', () => {
    expect(pushed(null)).toBeUndefined()
    expect(pushed({ data: { title: 'x' } })).toBeUndefined()
    expect(pushed({ data: { ...DATA, v: 'twelve' } })).toBeUndefined()
  })

  it('opens its flight, and never a foreign address', () => {
    expect(push().url).toBe('/f/B69-2013-03-08-JFK-MCO')
    expect(push({ url: '/f/x' }).url).toBe('/f/x')
    expect(push({ url: '//evil.example/' }).url).toBe('/f/B69-2013-03-08-JFK-MCO')
    expect(push({ url: 'https://evil.example/' }).url).toBe('/f/B69-2013-03-08-JFK-MCO')
  })

  it('may be about no flight, as a test is', () => {
    const test = push({ id: 'test:1', leg: '', tag: 'test:1', url: '/me' })
    expect([test.leg, test.tag, test.url]).toEqual(['', 'test:1', '/me'])
    expect(push({ leg: '', tag: 'test:1', url: '//evil.example/' }).url).toBe('/')
    expect(judge(test, displayed(NOTHING, DATA.leg, 99), 0)).toBe('show')
    expect(pushed({ data: { id: 'test:1', title: 'x', v: '1' } })).toBeUndefined()
  })

  it('is shown once, and never after a newer one of its tag', () => {
    const shown = remember(NOTHING, push())
    expect(judge(push(), NOTHING, 0)).toBe('show')
    expect(judge(push(), shown, 0)).toBe('repeat')
    expect(judge(push({ id: 'e:6', v: '11' }), shown, 0)).toBe('old')
    expect(judge(push({ id: 'e:8', v: '13' }), shown, 0)).toBe('show')
    expect(judge(push({ id: 'e:6', v: '11', tag: 'B69:delay' }), shown, 0)).toBe('show')
  })

  it('says nothing that a page has shown', () => {
    const shown = displayed(NOTHING, DATA.leg, 12)
    expect(judge(push(), shown, 0)).toBe('seen')
    expect(judge(push({ v: '13' }), displayed(shown, DATA.leg, 3), 0)).toBe('show')
  })

  it('of which no version of the flight tells is shown whatever a page has shown', () => {
    const shown = displayed(NOTHING, DATA.leg, 12)
    expect(judge(push({ v: '0', tag: 'B69:inbound_late' }), shown, 0)).toBe('show')
  })

  it('is of no use after its end', () => {
    expect(judge(push(), NOTHING, 99_999)).toBe('show')
    expect(judge(push(), NOTHING, 100_000)).toBe('late')
    expect(judge(push({ exp: '' }), NOTHING, 1e15)).toBe('show')
  })

  it('is remembered, but not for ever', () => {
    let shown = remember(NOTHING, push())
    for (let n = 0; n < 200; n++) shown = displayed(remember(shown, push({ tag: `t${n}`, id: `e:${n}` })), `leg${n}`, 1)
    expect(Object.keys(shown.tags)).toHaveLength(200)
    expect(Object.keys(shown.legs)).toHaveLength(200)
    expect(shown.tags['B69:gate']).toBeUndefined()
  })
})

describe('the ladder', () => {
  const able = { configured: true, able: true, permission: 'default', needsInstall: false } as const

  it('tries only what may work', () => {
    expect(knownRung(able)).toBeUndefined()
    expect(knownRung({ ...able, configured: false })).toBe('unset')
    expect(knownRung({ ...able, permission: 'denied' })).toBe('denied')
    expect(knownRung({ ...able, able: false })).toBe('unable')
    expect(knownRung({ ...able, needsInstall: true, able: false })).toBe('install')
  })

  it('tells a private window from a push service that does not answer', () => {
    expect(rungOfFailure(new DOMException('Registration failed - permission denied', 'AbortError'))).toBe('private')
    expect(rungOfFailure(new DOMException('no answer', 'TimeoutError'))).toBe('unreachable')
    expect(rungOfFailure(new Error('Installations: offline'))).toBe('unreachable')
  })
})
