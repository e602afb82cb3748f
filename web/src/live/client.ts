/** The one place that knows the socket library. Everything else sees channels, positions and frames. */
import { Centrifuge, type MapUpdateContext, type PublicationContext, State, type SubscribedContext } from 'centrifuge'
import type { Position } from './reducer'

export interface Frame {
  offset: number
  data: unknown
  key?: string
  removed?: boolean
}

export interface ChannelSink {
  /** In step from here on. `recovered`: the held state continues, the missed frames follow. */
  subscribed(position: Position, recovered: boolean): void
  /** The whole state of a map channel. */
  snapshot(frames: Frame[]): void
  frame(frame: Frame): void
  /** Out of step until the next `subscribed`; a refused channel is asked for again. */
  lost(): void
}

export interface LiveClient {
  /** Connects; each connect reply is passed on. */
  start(connected: (reply: unknown) => void): void
  join(channel: string, kind: 'stream' | 'map', sink: ChannelSink): () => void
  call(method: string, body: unknown): Promise<unknown>
  /** Opens a new connection at once; positions are kept and recovered. */
  reconnect(): void
  /** The same with a new identity: the token is fetched again. */
  identify(): void
  connected(): boolean
}

/** A refusal is final for the library but not for a screen that nobody attends: ask again after this. */
const RETRY_MIN = 20_000
const RETRY_SPREAD = 20_000
const OWN_DISCONNECT = 0

export function socketUrl(location: { protocol: string; host: string }): string {
  return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/connection/websocket`
}

function retryDelay(): number {
  return RETRY_MIN + Math.random() * RETRY_SPREAD
}

/** `getToken` answers an empty string for an anonymous connection. */
export function createClient(url: string, getToken?: () => Promise<string>): LiveClient {
  const centrifuge = new Centrifuge(url, getToken ? { getToken } : {})

  function reconnect() {
    centrifuge.disconnect()
    centrifuge.connect()
  }

  return {
    start(connected) {
      centrifuge.on('connected', (context) => connected(context.data))
      centrifuge.on('disconnected', ({ code }) => {
        if (code !== OWN_DISCONNECT) setTimeout(() => centrifuge.connect(), retryDelay())
      })
      centrifuge.connect()
    },
    join: (channel, kind, sink) => (kind === 'map' ? joinMap : joinStream)(centrifuge, channel, sink),
    async call(method, body) {
      return (await centrifuge.rpc(method, body)).data as unknown
    },
    reconnect,
    identify() {
      centrifuge.setToken('')
      reconnect()
    },
    connected: () => centrifuge.state === State.Connected,
  }
}

function positionOf(context: SubscribedContext): Position {
  return { epoch: context.streamPosition?.epoch ?? '', offset: context.streamPosition?.offset ?? 0 }
}

function frameOf({ offset = 0, data, ...rest }: PublicationContext & Partial<MapUpdateContext>): Frame {
  return { offset, data: data as unknown, ...(rest.key && { key: rest.key }), ...(rest.removed && { removed: true }) }
}

/** What the two kinds of subscription share. */
interface Joined {
  on(name: 'subscribed', listener: (context: SubscribedContext) => void): unknown
  on(name: 'subscribing' | 'unsubscribed', listener: () => void): unknown
  subscribe(): void
  unsubscribe(): void
}

function stayIn(subscription: Joined, sink: ChannelSink): () => void {
  let retry: ReturnType<typeof setTimeout> | undefined
  let closed = false
  subscription.on('subscribed', (context) => sink.subscribed(positionOf(context), context.recovered))
  subscription.on('subscribing', () => sink.lost())
  subscription.on('unsubscribed', () => {
    if (closed) return
    sink.lost()
    retry = setTimeout(() => subscription.subscribe(), retryDelay())
  })
  subscription.subscribe()
  return () => {
    closed = true
    clearTimeout(retry)
    subscription.unsubscribe()
  }
}

function joinMap(centrifuge: Centrifuge, channel: string, sink: ChannelSink): () => void {
  const subscription = centrifuge.newMapSubscription(channel)
  subscription.on('sync', ({ entries }) => sink.snapshot(entries.map(frameOf)))
  subscription.on('update', (context) => sink.frame(frameOf(context)))
  const leave = stayIn(subscription, sink)
  return () => {
    leave()
    centrifuge.removeMapSubscription(subscription)
  }
}

function joinStream(centrifuge: Centrifuge, channel: string, sink: ChannelSink): () => void {
  const subscription = centrifuge.newSubscription(channel)
  subscription.on('publication', (context) => sink.frame(frameOf(context)))
  const leave = stayIn(subscription, sink)
  return () => {
    leave()
    centrifuge.removeSubscription(subscription)
  }
}
