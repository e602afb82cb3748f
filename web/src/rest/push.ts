/** Push as the server knows it: the settings of its Firebase project, and this browser as a device. */
import { bearerOf } from './account'
import { rest } from './client'

export interface FirebaseSettings {
  apiKey: string
  appId: string
  messagingSenderId: string
  projectId: string
  vapidKey: string
}

const DEVICE = 'gatecast.device'

export async function readFirebase(): Promise<FirebaseSettings | null> {
  return (await rest.get<{ firebase: FirebaseSettings | null }>('/push')).data.firebase
}

export function deviceId(): string | null {
  return localStorage.getItem(DEVICE)
}

/** One device a browser: a new installation id takes the place of the old one. Whoever registers it wants alerts. */
export async function putDevice(fid: string): Promise<void> {
  const id = deviceId() ?? crypto.randomUUID()
  await rest.put(`/me/devices/${id}`, { platform: 'web', kind: 'fid', target: fid, alerts: true }, bearerOf())
  localStorage.setItem(DEVICE, id)
}
