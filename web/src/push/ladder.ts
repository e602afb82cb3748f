/** Which way alerts take to this browser; the first that works, and the reader is always told which. */
export type Rung = 'push' | 'off' | 'page' | 'denied' | 'unreachable' | 'private' | 'install' | 'unset' | 'unable'

export interface Abilities {
  /** The server has settings of a Firebase project. */
  configured: boolean
  /** Service workers, notifications and push exist here. */
  able: boolean
  permission: NotificationPermission
  /** An iPhone or iPad whose page is not on the Home Screen. */
  needsInstall: boolean
}

/** What can be said before anything is tried; undefined: trying is worth it. */
export function knownRung({ configured, able, permission, needsInstall }: Abilities): Rung | undefined {
  if (needsInstall) return 'install'
  if (!able) return 'unable'
  if (permission === 'denied') return 'denied'
  return configured ? undefined : 'unset'
}

/** Why a registration failed; browsers refuse at once in private windows and never answer without a push service. */
export function rungOfFailure(error: unknown): Rung {
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'unreachable'
  if (error instanceof Error && /permission|denied/i.test(`${error.name} ${error.message}`)) return 'private'
  return 'unreachable'
}

export function abilitiesOf(around: Window, configured: boolean): Abilities {
  const agent = around.navigator.userAgent
  const touchMac = /Macintosh/.test(agent) && around.navigator.maxTouchPoints > 1
  const standalone = around.matchMedia('(display-mode: standalone)').matches
  return {
    configured,
    able: 'serviceWorker' in around.navigator && 'Notification' in around && 'PushManager' in around,
    permission: 'Notification' in around ? Notification.permission : 'denied',
    needsInstall: (/iPhone|iPad/.test(agent) || touchMac) && !standalone,
  }
}
