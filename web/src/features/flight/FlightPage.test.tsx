import { i18n } from '@lingui/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { act, render, screen } from '@testing-library/react'
import { MemoryRouter, Route, Routes, useLocation, useNavigationType } from 'react-router'
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { StoreProvider } from '../../hooks/live'
import type { ChannelSink } from '../../live/client'
import { createStore } from '../../live/store'
import { messages } from '../../locales/en.json?lingui'
import { messages as screens } from '../../locales/screens/en.json?lingui'
import { rest } from '../../rest/client'
import { leg } from '../../testing/legs'
import { speakWith } from '../../text'
import { FlightPage } from './FlightPage'

const OLD = 'B69-2013-03-08-JFK-MCO'
const NEW = 'B69D-2013-03-08-JFK-MCO'
let sinks: Map<string, ChannelSink>
let asked: string[]

beforeAll(() => {
  i18n.load('en', { ...screens, ...messages })
  i18n.activate('en')
  speakWith((id, values) => i18n._(id, values))
})

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true })
  sinks = new Map()
  asked = []
  vi.stubGlobal('localStorage', { getItem: (name: string) => (name === 'gatecast.credential' ? 'gca_one' : null) })
  rest.defaults.adapter = (config) => {
    const url = config.url ?? ''
    asked.push(url)
    const body = url === '/me/follows' ? { items: [{ leg_key: OLD, created_at: '' }] } : leg({ key: url.split('/').at(-1) ?? '' })
    return Promise.resolve({ status: 200, data: body, statusText: '', headers: {}, config })
  }
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function Address() {
  return <output>{useNavigationType()} {useLocation().pathname}</output>
}

it('follows its leg to a corrected key: the address is replaced, the follow stays', async () => {
  const store = createStore({
    start: () => undefined,
    join: (channel, _kind, sink) => {
      sinks.set(channel, sink)
      return () => undefined
    },
    call: () => Promise.resolve(), reconnect: () => undefined, identify: () => undefined, connected: () => true,
  })
  const queries = new QueryClient({ defaultOptions: { queries: { staleTime: 30_000 } } })
  render(
    <QueryClientProvider client={queries}>
      <StoreProvider value={store}>
        <MemoryRouter initialEntries={[`/f/${OLD}`]}>
          <Routes><Route path="/f/:key" element={<FlightPage />} /></Routes>
          <Address />
        </MemoryRouter>
      </StoreProvider>
    </QueryClientProvider>,
  )
  const settle = () => act(() => vi.advanceTimersByTimeAsync(600))
  await settle()
  const old = sinks.get(`flight:${OLD}`)!
  old.subscribed({ epoch: 'e', offset: 1 }, false)
  old.frame({ offset: 1, data: { leg: leg({ key: OLD }) } })
  await settle()
  expect(screen.getByRole('button', { name: 'Following' })).toHaveAttribute('aria-pressed', 'true')
  old.frame({ offset: 2, data: { moved_to: NEW } })
  old.lost()
  await settle()
  expect(screen.getByText(`REPLACE /f/${NEW}`)).toBeVisible()
  const moved = sinks.get(`flight:${NEW}`)!
  moved.subscribed({ epoch: 'e', offset: 2 }, false)
  moved.frame({ offset: 2, data: { leg: leg({ key: NEW, version: 2, suffix: 'D', dep_gate: '22' }) } })
  await settle()
  expect(screen.getByText('22')).toBeVisible()
  expect(screen.getByRole('button', { name: 'Following' })).toHaveAttribute('aria-pressed', 'true')
  expect(asked.filter((url) => url === '/me/follows')).toHaveLength(1)
})
