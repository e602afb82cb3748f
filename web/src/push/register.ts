/** Registers this browser for pushes. Loaded only when somebody wants them. */
import { initializeApp } from '@firebase/app'
import { getMessaging, onRegistered, register } from '@firebase/messaging'
import { type FirebaseSettings, putDevice } from '../rest/push'

const PATIENCE_MS = 10_000

/** Rejects with a TimeoutError: without its push service a browser never answers. */
async function within<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DOMException('no answer', 'TimeoutError')), PATIENCE_MS)
  })
  try {
    return await Promise.race([work, over])
  } finally {
    clearTimeout(timer)
  }
}

async function installation(settings: FirebaseSettings): Promise<string> {
  const serviceWorkerRegistration = await navigator.serviceWorker.register('/sw.js')
  await navigator.serviceWorker.ready
  const { vapidKey, ...app } = settings
  const messaging = getMessaging(initializeApp(app))
  return new Promise((resolve, reject) => {
    onRegistered(messaging, resolve)
    register(messaging, { vapidKey, serviceWorkerRegistration }).catch(reject)
  })
}

/** The server knows this browser by its installation id afterwards. */
export async function registerBrowser(settings: FirebaseSettings): Promise<void> {
  await putDevice(await within(installation(settings)))
}
