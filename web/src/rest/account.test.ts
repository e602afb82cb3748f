import { beforeEach, describe, expect, it, vi } from 'vitest'
import { connectionToken, credential, follow, listFollows, unfollow } from './account'
import { rest } from './client'

/** A server of one account; the adapter is axios' own seam for transports. */
let calls: string[]
let known: Set<string>

beforeEach(() => {
  const kept = new Map<string, string>()
  vi.stubGlobal('localStorage', {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => kept.set(name, value),
    removeItem: (name: string) => kept.delete(name),
  })
  calls = []
  known = new Set()
  rest.defaults.adapter = (config) => {
    const url = `${config.method?.toUpperCase() ?? ''} ${config.url ?? ''}`
    const bearer = String(config.headers.Authorization ?? '').replace('Bearer ', '')
    calls.push(`${url}${bearer ? ` ${bearer}` : ''}`)
    const reply = (status: number, body?: unknown) => ({ status, data: body, statusText: '', headers: {}, config })
    if (url === 'POST /accounts') {
      known.add('gca_new')
      return Promise.resolve(reply(201, { account: 'a', credential: 'gca_new' }))
    }
    const answer = known.has(bearer) ? reply(200, url === 'POST /me/token' ? { token: 'jwt' } : { items: [] }) : reply(401)
    if (answer.status === 200) return Promise.resolve(answer)
    return Promise.reject(Object.assign(new Error('401'), { response: answer }))
  }
})

const KEY = 'B69-2013-03-08-JFK-MCO'

describe('account', () => {
  it('is opened by the first follow and kept', async () => {
    expect(await follow(KEY)).toEqual({ opened: true })
    expect(credential()).toBe('gca_new')
    expect(await follow(KEY)).toEqual({ opened: false })
    await unfollow(KEY)
    expect(calls).toEqual([
      'POST /accounts', `PUT /me/follows/${KEY} gca_new`, `PUT /me/follows/${KEY} gca_new`, `DELETE /me/follows/${KEY} gca_new`,
    ])
  })

  it('nothing is asked without one', async () => {
    expect(await listFollows()).toEqual([])
    expect(await connectionToken()).toBe('')
    expect(calls).toEqual([])
  })

  it('gives the token of the connection', async () => {
    await follow(KEY)
    expect(await connectionToken()).toBe('jwt')
  })

  it('that the server forgot is dropped, and a follow opens another', async () => {
    localStorage.setItem('gatecast.credential', 'gca_gone')
    expect(await connectionToken()).toBe('')
    expect(credential()).toBeNull()
    localStorage.setItem('gatecast.credential', 'gca_gone')
    expect(await follow(KEY)).toEqual({ opened: true })
    expect(credential()).toBe('gca_new')
  })
})
