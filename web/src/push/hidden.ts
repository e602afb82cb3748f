/** The second rung: a page that nobody looks at rings by itself. */
export async function ring(title: string, body: string, tag: string): Promise<boolean> {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined
  if (workers === undefined || document.visibilityState === 'visible' || Notification.permission !== 'granted') return false
  const registration = await workers.getRegistration()
  if (registration === undefined) return false
  await registration.showNotification(title, { body, tag, data: { url: window.location.pathname } })
  return true
}
