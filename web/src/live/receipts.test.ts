import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ReceiptBody, type Receipts, createReceipts } from './receipts'

const EPOCH = 'e1'
let sent: ReceiptBody[]
let visible: boolean
let entitled: boolean
let refusal: Error | undefined
let receipts: Receipts

beforeEach(() => {
  vi.useFakeTimers()
  sent = []
  visible = true
  entitled = true
  refusal = undefined
  receipts = createReceipts({
    send: (body) => {
      sent.push(body)
      return refusal ? Promise.reject(refusal) : Promise.resolve()
    },
    visible: () => visible,
    entitled: () => entitled,
    now: () => performance.now(),
    later: (run, ms) => {
      const timer = setTimeout(run, ms)
      return () => clearTimeout(timer)
    },
  })
})

afterEach(() => vi.useRealTimers())

const batch = () => vi.advanceTimersByTime(250)

describe('receipts', () => {
  it('one batch within 250 ms for all that was painted', () => {
    receipts.rendered('A', 1, EPOCH)
    receipts.rendered('B', 7, EPOCH)
    receipts.rendered('A', 2, EPOCH)
    expect(sent).toEqual([])
    batch()
    expect(sent).toEqual([{ epoch: EPOCH, attentive: false, legs: { A: 2, B: 7 } }])
  })

  it('the same version is told once', () => {
    receipts.rendered('A', 1, EPOCH)
    batch()
    receipts.rendered('A', 1, EPOCH)
    batch()
    expect(sent).toHaveLength(1)
  })

  it('a hidden page says nothing, also when it was hidden within the batch', () => {
    visible = false
    receipts.rendered('A', 1, EPOCH)
    receipts.touched()
    batch()
    visible = true
    receipts.rendered('B', 1, EPOCH)
    visible = false
    batch()
    expect(sent).toEqual([])
  })

  it('what is on screen counts when the page becomes visible', () => {
    visible = false
    receipts.rendered('A', 4, EPOCH)
    batch()
    visible = true
    receipts.again()
    batch()
    expect(sent).toEqual([{ epoch: EPOCH, attentive: false, legs: { A: 4 } }])
  })

  it('and again after a reconnect, but not what left the screen', () => {
    receipts.rendered('A', 4, EPOCH)
    receipts.rendered('B', 2, EPOCH)
    batch()
    receipts.left('B')
    receipts.again()
    batch()
    expect(sent[1]?.legs).toEqual({ A: 4 })
  })

  it('a leg that left before the batch is not told', () => {
    receipts.rendered('A', 4, EPOCH)
    receipts.left('A')
    batch()
    expect(sent).toEqual([])
  })

  it('comes again when the server is too busy, with what is on screen by then', async () => {
    refusal = Object.assign(new Error('internal server error'), { code: 100, temporary: true })
    receipts.rendered('A', 1, EPOCH)
    receipts.rendered('B', 1, EPOCH)
    batch()
    await vi.advanceTimersByTimeAsync(500)
    receipts.left('B')
    refusal = undefined
    await vi.advanceTimersByTimeAsync(749)
    expect(sent).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sent.map((body) => body.legs)).toEqual([{ A: 1, B: 1 }, { A: 1 }])
  })

  it('does not insist on what was refused for good', async () => {
    refusal = Object.assign(new Error('bad request'), { code: 107, temporary: false })
    receipts.rendered('A', 1, EPOCH)
    batch()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sent).toHaveLength(1)
  })

  it('nothing is told without an account', () => {
    entitled = false
    receipts.rendered('A', 4, EPOCH)
    batch()
    entitled = true
    receipts.again()
    batch()
    expect(sent).toHaveLength(1)
  })

  it('is attentive for 60 s after real input', () => {
    receipts.touched()
    vi.advanceTimersByTime(59_000)
    receipts.rendered('A', 1, EPOCH)
    batch()
    vi.advanceTimersByTime(2_000)
    receipts.rendered('A', 2, EPOCH)
    batch()
    expect(sent.map((body) => body.attentive)).toEqual([true, false])
  })

  it('input after an inattentive receipt tells it again as attentive, once', () => {
    receipts.rendered('A', 1, EPOCH)
    receipts.rendered('B', 5, EPOCH)
    batch()
    receipts.touched()
    receipts.touched()
    batch()
    receipts.touched()
    batch()
    expect(sent).toEqual([
      { epoch: EPOCH, attentive: false, legs: { A: 1, B: 5 } },
      { epoch: EPOCH, attentive: true, legs: { A: 1, B: 5 } },
    ])
  })

  it('tells each epoch apart and starts over in a new one', () => {
    receipts.rendered('A', 9, EPOCH)
    receipts.rendered('B', 3, 'e2')
    batch()
    expect(sent).toEqual([
      { epoch: EPOCH, attentive: false, legs: { A: 9 } },
      { epoch: 'e2', attentive: false, legs: { B: 3 } },
    ])
    receipts.rendered('A', 1, 'e2')
    batch()
    expect(sent[2]).toEqual({ epoch: 'e2', attentive: false, legs: { A: 1 } })
  })

  it('never names more than 200 legs at once', () => {
    for (let n = 0; n < 450; n += 1) receipts.rendered(`L${String(n)}`, 1, EPOCH)
    batch()
    expect(sent.map((body) => Object.keys(body.legs).length)).toEqual([200, 200, 50])
  })

  it('a refused receipt does not stop the next one', async () => {
    receipts.close()
    const failing = createReceipts({
      send: () => Promise.reject(new Error('112')), visible: () => true, entitled: () => true,
      now: () => 0, later: (run, ms) => {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      },
    })
    failing.rendered('A', 1, EPOCH)
    await vi.advanceTimersByTimeAsync(250)
    expect(vi.getTimerCount()).toBe(0)
  })
})
