import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import frames from '../../../tests/vectors/frames.json'
import { boardOf } from './boards'
import type { ChannelSink, LiveClient } from './client'
import { flightOf } from './flights'
import type { Leg } from './leg'
import { type LiveStore, createStore } from './store'

const LEG = frames.leg as Leg
const STATUS = frames.exchanges.find((one) => one.name === 'subscribe to the freshness of an airport')
const REPORT = STATUS?.out?.subscribe?.publications?.[0]?.data
const CONNECTED = frames.exchanges.find((one) => one.name === 'connect, anonymous')?.out?.connect?.data
const EPOCH = '5b0c8e0e-6d0a-4a53-9f0e-3d3f2b6f1c11'

/** A client without a socket: the test is the server. */
function wire() {
  const sinks = new Map<string, ChannelSink>()
  const left: string[] = []
  let connected: ((reply: unknown) => void) | undefined
  const client: LiveClient = {
    start: (listener) => {
      connected = listener
    },
    join: (channel, _kind, sink) => {
      sinks.set(channel, sink)
      return () => left.push(channel)
    },
    call: () => Promise.resolve(),
    reconnect: vi.fn(),
    identify: vi.fn(),
    connected: () => true,
  }
  const sink = (channel: string): ChannelSink => {
    const found = sinks.get(channel)
    if (!found) throw new Error(`${channel} was not joined`)
    return found
  }
  return { client, sink, left, sinks, connect: (reply: unknown) => connected?.(reply) }
}

let server: ReturnType<typeof wire>
let store: LiveStore

beforeEach(() => {
  vi.useFakeTimers()
  server = wire()
  store = createStore(server.client)
})

afterEach(() => vi.useRealTimers())

const BOARD = 'board:JFK:departures'

function openBoard() {
  const board = boardOf(store, 'JFK', 'departures')
  const told = vi.fn()
  const close = board.listen(told)
  server.sink(BOARD).subscribed({ epoch: EPOCH, offset: 40123 }, false)
  server.sink(BOARD).snapshot([{ key: LEG.key, offset: 40120, data: LEG }])
  return { board, told, close }
}

describe('channels', () => {
  it('are joined by the first listener and left a while after the last', () => {
    const { board, close } = openBoard()
    const second = board.listen(() => undefined)
    close()
    vi.advanceTimersByTime(5_000)
    expect(server.left).toEqual([])
    second()
    vi.advanceTimersByTime(900)
    expect(server.left).toEqual([])
    vi.advanceTimersByTime(200)
    expect(server.left).toEqual([BOARD])
  })

  it('survive a page turn without being left', () => {
    const { board, close } = openBoard()
    close()
    board.listen(() => undefined)
    vi.advanceTimersByTime(5_000)
    expect(server.left).toEqual([])
  })

  it('are one resource by name', () => {
    expect(boardOf(store, 'JFK', 'departures')).toBe(boardOf(store, 'JFK', 'departures'))
  })
})

describe('batches', () => {
  it('a burst is told once, and again only 250 ms later', () => {
    const { board, told } = openBoard()
    vi.advanceTimersByTime(0)
    expect(told).toHaveBeenCalledTimes(1)
    for (let n = 1; n <= 20; n += 1) server.sink(BOARD).frame({ key: LEG.key, offset: 40123 + n, data: { ...LEG, version: 12 + n } })
    vi.advanceTimersByTime(249)
    expect(told).toHaveBeenCalledTimes(1)
    vi.advanceTimersByTime(1)
    expect(told).toHaveBeenCalledTimes(2)
    expect(board.get().legs.get(LEG.key)?.version).toBe(32)
  })

  it('a single change after a quiet time is told at once', () => {
    const { told } = openBoard()
    vi.advanceTimersByTime(10_000)
    told.mockClear()
    server.sink(BOARD).frame({ key: LEG.key, offset: 40124, removed: true, data: null })
    vi.advanceTimersByTime(0)
    expect(told).toHaveBeenCalledTimes(1)
  })
})

describe('contact', () => {
  it('counts only while every channel is in step', () => {
    openBoard()
    store.status('JFK').listen(() => undefined)
    const first = performance.now()
    expect(store.verdict(undefined, first, 'departures').state).toBe('live')
    vi.advanceTimersByTime(20_000)
    // Status is not subscribed yet, so a frame of the board proves nothing.
    server.sink(BOARD).frame({ key: LEG.key, offset: 40124, data: LEG })
    expect(store.verdict(undefined, performance.now(), 'departures').state).toBe('late')
    server.sink('status:JFK').subscribed({ epoch: '', offset: 0 }, false)
    expect(store.verdict(undefined, performance.now(), 'departures').state).toBe('live')
    server.sink(BOARD).lost()
    vi.advanceTimersByTime(61_000)
    server.sink('status:JFK').frame({ offset: 0, data: REPORT })
    expect(store.verdict(undefined, performance.now(), 'departures').state).toBe('stale')
  })

  it('limits come with the connect reply', () => {
    openBoard()
    vi.advanceTimersByTime(3_000)
    expect(store.verdict(undefined, performance.now(), 'departures').state).toBe('live')
    server.connect({ freshness: { late: 1, stale: 2, down: 30 } })
    expect(store.verdict(undefined, performance.now(), 'departures').state).toBe('stale')
    server.connect(CONNECTED)
    expect(store.verdict(undefined, performance.now(), 'departures').state).toBe('live')
  })

  it('a connection that slept is replaced when the page is looked at', () => {
    openBoard()
    store.wake()
    expect(server.client.reconnect).not.toHaveBeenCalled()
    vi.advanceTimersByTime(12_000)
    store.wake()
    expect(server.client.reconnect).toHaveBeenCalledOnce()
  })
})

describe('what channels say', () => {
  it('a board goes through recovery without losing a row', () => {
    const { board } = openBoard()
    server.sink(BOARD).lost()
    server.sink(BOARD).subscribed({ epoch: EPOCH, offset: 40130 }, true)
    server.sink(BOARD).frame({ key: 'B610-2013-03-08-JFK-BOS', offset: 40126, data: { ...LEG, key: 'B610-2013-03-08-JFK-BOS' } })
    server.sink(BOARD).frame({ key: LEG.key, offset: 40130, removed: true, data: null })
    expect([...board.get().legs.keys()]).toEqual(['B610-2013-03-08-JFK-BOS'])
    expect(board.get()).toMatchObject({ offset: 40130, generation: 2 })
  })

  it('a flight takes the first publication as state, the next as change', () => {
    const flight = flightOf(store, LEG.key)
    flight.listen(() => undefined)
    const sink = server.sink(`flight:${LEG.key}`)
    sink.subscribed({ epoch: EPOCH, offset: 12 }, false)
    sink.frame({ offset: 12, data: { leg: LEG, change: { version: 12, kinds: ['gate_changed'], fields: {}, at: '2013-03-08T22:59:00Z' } } })
    expect(flight.get()).toMatchObject({ version: 12, leg: LEG, witnessed: false, epoch: EPOCH })
    sink.frame({ offset: 13, data: { leg: { ...LEG, version: 13 }, change: { version: 13, kinds: ['final_call'], fields: {}, at: '2013-03-08T23:05:00Z' } } })
    expect(flight.get()).toMatchObject({ version: 13, witnessed: true })
  })

  it('a status sets the clock of the board', () => {
    store.status('JFK').listen(() => undefined)
    server.sink('status:JFK').frame({ offset: 0, data: REPORT })
    expect(store.clock.boardAt(performance.now())).toBe(Date.parse('2013-03-08T23:05:12Z'))
    expect(store.clock.speed()).toBe(10)
  })
})
