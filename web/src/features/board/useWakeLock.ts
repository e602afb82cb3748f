import { useEffect } from 'react'

/** Keeps the screen on where the browser grants it; kiosks set it in the system as well. */
export function useWakeLock(): void {
  useEffect(() => {
    const ask = () => {
      // Absent where the page is not served securely, whatever the types say.
      const lock = navigator.wakeLock as WakeLock | undefined
      if (document.visibilityState === 'visible') lock?.request('screen').catch(() => undefined)
    }
    ask()
    document.addEventListener('visibilitychange', ask)
    return () => document.removeEventListener('visibilitychange', ask)
  }, [])
}
