import { act, render, screen, within } from '@testing-library/react'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import frames from '../../../../tests/vectors/frames.json'
import { plainSpeaker } from '../../components/plainSpeaker'
import { StoreProvider } from '../../hooks/live'
import type { ChannelSink } from '../../live/client'
import type { FeedReport, StatusReport } from '../../live/clock'
import type { Leg } from '../../live/leg'
import { createStore } from '../../live/store'
import { messages } from '../../locales/board/en.json?lingui'
import { messages as screens } from '../../locales/screens/en.json?lingui'
import { leg } from '../../testing/legs'
import { speakWith } from '../../text'
import { BoardPage } from './BoardPage'
import { boardAddress } from './address'

const LEG = frames.leg as Leg
let sinks: Map<string, ChannelSink>

beforeAll(() => speakWith(plainSpeaker({ ...screens, ...messages })))

beforeEach(() => {
  vi.useFakeTimers()
  sinks = new Map()
  vi.stubGlobal('matchMedia', () => ({ matches: true }))
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(JSON.stringify({ iata: 'JFK', name: 'John F. Kennedy', city: 'New York', country: 'US', tz: 'America/New_York' }))))
  Object.defineProperties(window, { innerWidth: { value: 1920, configurable: true }, innerHeight: { value: 1080, configurable: true } })
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function report(feed: Partial<FeedReport> = {}): StatusReport {
  return {
    now: '2013-03-08T23:05:12Z', wall: '2026-11-24T12:00:00Z', speed: 10, build: '0.1.0', log: { seq: 40123, age: 0.8 },
    feeds: [{ code: 'replay', state: 'fresh', last_seen: '2026-11-24T11:59:55Z', synthetic: true, boards: ['departures'], ...feed }],
  }
}

async function settle(ms = 300) {
  await act(() => vi.advanceTimersByTimeAsync(ms))
}

async function open(legs: Leg[]) {
  const store = createStore({
    start: () => undefined,
    join: (channel, _kind, sink) => {
      sinks.set(channel, sink)
      return () => undefined
    },
    call: () => Promise.resolve(), reconnect: () => undefined, identify: () => undefined, connected: () => true,
  })
  render(<StoreProvider value={store}><BoardPage iata="JFK" movement="departures" /></StoreProvider>)
  const board = sinks.get('board:JFK:departures')!
  const status = sinks.get('status:JFK')!
  status.subscribed({ epoch: '', offset: 0 }, false)
  status.frame({ offset: 0, data: report() })
  board.subscribed({ epoch: 'e', offset: 40123 }, false)
  board.snapshot(legs.map((one) => ({ key: one.key, offset: 40120, data: one })))
  await settle()
  return { board, status }
}

const cells = () => within(screen.getByRole('table')).getAllByRole('row').slice(1).map((row) => row.textContent)

describe('board page', () => {
  it('says beside the permanent label that a replay is over, and whether it starts again', async () => {
    const { status } = await open([LEG])
    const replay = { day: '2013-03-08', opens: '2013-03-08T21:00:00Z', ends: '2013-03-08T23:05:12Z', again: true, over: true }
    expect(screen.getByTestId('demo')).toHaveTextContent('estimates and gates simulated')
    status.frame({ offset: 0, data: { ...report(), feeds: [], replay } })
    await settle()
    expect(screen.getByTestId('demo')).toHaveTextContent('The replayed day is over. It starts again in a minute.')
    status.frame({ offset: 0, data: { ...report(), replay: { ...replay, again: false } } })
    await settle()
    expect(screen.getByTestId('demo')).toHaveTextContent(/is over\.$/)
  })

  it('is a table with caption, headers and the city as row header', async () => {
    await open([LEG])
    expect(screen.getByRole('table', { name: 'Departures at New York' })).toBeVisible()
    expect(screen.getAllByRole('columnheader').map((head) => head.textContent)).toEqual(['Time', 'New time', 'To', 'Flight', 'Gate', 'Remarks'])
    expect(screen.getByRole('rowheader', { name: 'Orlando' })).toBeVisible()
    expect(screen.getByText('Gate changed')).toBeVisible()
    expect(screen.getByRole('timer')).toHaveTextContent('18:05')
  })

  it('shows a committed gate change in the same row', async () => {
    const { board } = await open([LEG])
    board.frame({ key: LEG.key, offset: 40124, data: { ...LEG, version: 13, dep_gate: 'C3', dep_gate_was: '22' } })
    await settle()
    expect(cells()[0]).toContain('C3')
  })

  it('labels simulated data with its real date and speed', async () => {
    await open([LEG])
    expect(screen.getByTestId('demo')).toHaveTextContent('Demonstration · 8 Mar 2013 · 10×estimates and gates simulated')
  })

  it('keeps rows in place until the page turns', async () => {
    const { board } = await open([LEG])
    board.frame({ key: 'AA1', offset: 40124, data: leg({ key: 'AA1', arr_city: 'Austin' }) })
    board.frame({ key: LEG.key, offset: 40125, removed: true, data: null })
    await settle(2_000)
    expect(cells()).toHaveLength(1)
    expect(cells()[0]).toContain('Orlando')
    await settle(12_000)
    expect(cells()).toHaveLength(1)
    expect(cells()[0]).toContain('Austin')
  })

  it('names the dead feed while the link lives, and hides boarding calls', async () => {
    const { status } = await open([{ ...LEG, phase: 'boarding' }])
    expect(screen.getByText('Boarding')).toBeVisible()
    expect(screen.getByRole('status')).toHaveTextContent('Live')
    status.frame({ offset: 0, data: report({ state: 'dead', last_seen: '2026-11-24T11:44:00Z' }) })
    await settle(1_200)
    expect(screen.queryByText('Boarding')).toBeNull()
    expect(screen.getByText('Check gate')).toBeVisible()
    expect(screen.getByText(/airport feed silent, last confirmed/)).toBeVisible()
  })

  it('goes late, stale and down by itself when the server is silent, and back', async () => {
    const { status } = await open([{ ...LEG, phase: 'final_call' }])
    await settle(16_000)
    expect(screen.getByRole('status')).toHaveTextContent('Reconnecting')
    await settle(45_000)
    expect(screen.getByRole('status')).toHaveTextContent('Not up to date')
    expect(screen.getByText(/connection lost, last confirmed/)).toBeVisible()
    expect(screen.queryByText('Final call')).toBeNull()
    await settle(540_000)
    expect(screen.getByRole('alert')).toHaveTextContent('Flight information is not available on this screen')
    expect(screen.queryByRole('table')).toBeNull()
    status.frame({ offset: 0, data: report() })
    await settle(1_200)
    expect(screen.getByText('Final call')).toBeVisible()
  })

  it('says that nothing leaves only after the board said so', async () => {
    await open([])
    expect(screen.getByText('No departures in the next 6 hours')).toBeVisible()
  })
})

describe('board address', () => {
  it.each([
    ['/board/JFK/departures', { iata: 'JFK', movement: 'departures' }],
    ['/board/jfk/arrivals/', { iata: 'JFK', movement: 'arrivals' }],
    ['/board/JFK', undefined],
    ['/board/JFK/gates', undefined],
    ['/board/JFKX/arrivals', undefined],
  ])('%s', (path, address) => {
    expect(boardAddress(path)).toEqual(address)
  })
})
