/** The anonymous account of this browser: made by the first follow, kept as one credential. */
import { Problem, rest } from './client'

const CREDENTIAL = 'gatecast.credential'

export interface Follow {
  leg_key: string
  created_at: string
}

/** The follows after the key of a leg was corrected. */
export function rekeyed(follows: Follow[], old: string, key: string): Follow[] {
  return follows.map((one) => (one.leg_key === old ? { ...one, leg_key: key } : one))
}

export function credential(): string | null {
  return localStorage.getItem(CREDENTIAL)
}

/** Of the account held; without one the server refuses. */
export function bearerOf() {
  return bearer(credential() ?? '')
}

function bearer(held: string) {
  return { headers: { Authorization: `Bearer ${held}` } }
}

/** The account is gone, for example because a demonstration started over. */
function forgetIfRefused(error: unknown): boolean {
  const refused = error instanceof Problem && error.status === 401
  if (refused) localStorage.removeItem(CREDENTIAL)
  return refused
}

async function openAccount(): Promise<string> {
  const { data } = await rest.post<{ account: string; credential: string }>('/accounts')
  localStorage.setItem(CREDENTIAL, data.credential)
  return data.credential
}

/** The token of a connection; an empty string connects anonymously. */
export async function connectionToken(): Promise<string> {
  const held = credential()
  if (held === null) return ''
  try {
    return (await rest.post<{ token: string }>('/me/token', undefined, bearer(held))).data.token
  } catch (error) {
    if (forgetIfRefused(error)) return ''
    throw error
  }
}

export async function listFollows(): Promise<Follow[]> {
  const held = credential()
  if (held === null) return []
  try {
    return (await rest.get<{ items: Follow[] }>('/me/follows', bearer(held))).data.items
  } catch (error) {
    if (forgetIfRefused(error)) return []
    throw error
  }
}

/** Follows a flight and says whether an account was opened for it. */
export async function follow(key: string): Promise<{ opened: boolean }> {
  const held = credential()
  const path = `/me/follows/${encodeURIComponent(key)}`
  if (held !== null) {
    try {
      await rest.put(path, undefined, bearer(held))
      return { opened: false }
    } catch (error) {
      if (!forgetIfRefused(error)) throw error
    }
  }
  await rest.put(path, undefined, bearer(await openAccount()))
  return { opened: true }
}

export async function unfollow(key: string): Promise<void> {
  const held = credential()
  if (held !== null) await rest.delete(`/me/follows/${encodeURIComponent(key)}`, bearer(held))
}
