import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createRenewal } from './renewal'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

function screen(prepare: () => Promise<boolean>) {
  const reload = vi.fn()
  return { reload, renewal: createRenewal({ prepare, reload, random: () => 0.5 }) }
}

describe('a board reloads', () => {
  it('once the new build is ready and a page turns, spread over 90 s', async () => {
    const { renewal, reload } = screen(() => Promise.resolve(true))
    renewal.announced('1')
    renewal.announced('2')
    await vi.advanceTimersByTimeAsync(44_000)
    renewal.turned()
    expect(reload).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(reload).not.toHaveBeenCalled()
    renewal.turned()
    expect(reload).toHaveBeenCalledOnce()
  })

  it('never for its own build', async () => {
    const prepare = vi.fn(() => Promise.resolve(true))
    const { renewal, reload } = screen(prepare)
    for (let n = 0; n < 100; n += 1) renewal.announced('1')
    await vi.advanceTimersByTimeAsync(600_000)
    renewal.turned()
    expect(prepare).not.toHaveBeenCalled()
    expect(reload).not.toHaveBeenCalled()
  })

  it('not while the server or the worker fails, and asks again', async () => {
    const prepare = vi.fn<() => Promise<boolean>>()
    prepare.mockRejectedValueOnce(new Error('away')).mockResolvedValueOnce(false).mockResolvedValue(true)
    const { renewal, reload } = screen(prepare)
    renewal.announced('1')
    renewal.announced('2')
    await vi.advanceTimersByTimeAsync(46_000)
    renewal.turned()
    await vi.advanceTimersByTimeAsync(60_000)
    renewal.turned()
    expect(reload).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(60_000)
    renewal.turned()
    expect(reload).toHaveBeenCalledOnce()
  })
})
