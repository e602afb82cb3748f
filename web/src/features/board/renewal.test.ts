import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createRenewal } from './renewal'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

function screen(prepare: (build: string) => Promise<boolean>, tried: { last: string | null } = { last: null }) {
  const reload = vi.fn()
  const renewal = createRenewal({
    own: '1', prepare, reload, random: () => 0.5, now: Date.now,
    tried: { get: () => tried.last, put: (value) => { tried.last = value } },
  })
  return { reload, renewal, tried }
}

describe('a board reloads', () => {
  it('once the new build is ready and a page turns, spread over 70 s', async () => {
    const { renewal, reload } = screen((build) => Promise.resolve(build === '2'))
    renewal.announced('0.1.0+2')
    await vi.advanceTimersByTimeAsync(34_000)
    renewal.turned()
    expect(reload).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(reload).not.toHaveBeenCalled()
    renewal.turned()
    expect(reload).toHaveBeenCalledOnce()
  })

  it.each(['0.1.0+1', '0.2.0+1', '0.1.0', '0.2.0'])('never for its own build, or where none is served: %s', async (build) => {
    const prepare = vi.fn(() => Promise.resolve(true))
    const { renewal, reload } = screen(prepare)
    for (let n = 0; n < 100; n += 1) renewal.announced(build)
    await vi.advanceTimersByTimeAsync(600_000)
    renewal.turned()
    expect(prepare).not.toHaveBeenCalled()
    expect(reload).not.toHaveBeenCalled()
  })

  it('not while the server or the worker fails, and asks again', async () => {
    const prepare = vi.fn<() => Promise<boolean>>()
    prepare.mockRejectedValueOnce(new Error('away')).mockResolvedValueOnce(false).mockResolvedValue(true)
    const { renewal, reload } = screen(prepare)
    renewal.announced('0.1.0+2')
    await vi.advanceTimersByTimeAsync(46_000)
    renewal.turned()
    await vi.advanceTimersByTimeAsync(60_000)
    renewal.turned()
    expect(reload).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(60_000)
    renewal.turned()
    expect(reload).toHaveBeenCalledOnce()
  })

  it('not for a build that was taken back, and for the one after it', async () => {
    const { renewal, reload } = screen(() => Promise.resolve(true))
    renewal.announced('0.1.0+2')
    await vi.advanceTimersByTimeAsync(40_000)
    renewal.announced('0.1.0+1')
    renewal.turned()
    expect(reload).not.toHaveBeenCalled()
    renewal.announced('0.1.0+3')
    await vi.advanceTimersByTimeAsync(40_000)
    renewal.turned()
    expect(reload).toHaveBeenCalledOnce()
  })

  it('not in a loop when the reload did not bring the build', async () => {
    const first = screen(() => Promise.resolve(true))
    first.renewal.announced('0.1.0+2')
    await vi.advanceTimersByTimeAsync(40_000)
    first.renewal.turned()
    const again = screen(() => Promise.resolve(true), first.tried)
    again.renewal.announced('0.1.0+2')
    await vi.advanceTimersByTimeAsync(600_000)
    again.renewal.turned()
    expect(again.reload).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(3_600_000)
    again.renewal.announced('0.1.0+2')
    await vi.advanceTimersByTimeAsync(40_000)
    again.renewal.turned()
    expect(again.reload).toHaveBeenCalledOnce()
  })
})
