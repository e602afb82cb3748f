/**
 * Receipts: tells the server which version of a leg this account has had on a visible screen, so that
 * no alert is sent for it. A hidden page never says so; a board never does.
 */
export interface ReceiptBody {
  epoch: string
  attentive: boolean
  legs: Record<string, number>
}

export interface ReceiptSurroundings {
  send(body: ReceiptBody): Promise<unknown>
  visible(): boolean
  /** True while connected as an account. */
  entitled(): boolean
  /** Monotonic ms. */
  now(): number
  later(run: () => void, ms: number): () => void
}

export interface Receipts {
  /** This version of the leg is painted now. */
  rendered(key: string, version: number, epoch: string): void
  left(key: string): void
  /** A person touched, typed, moved or scrolled. */
  touched(): void
  /** The page became visible, or the connection came back: what is on screen counts again. */
  again(): void
  close(): void
}

const BATCH = 250
const ATTENTIVE_FOR = 60_000
const MOST_LEGS = 200
const COME_AGAIN = 1_000

interface Shown {
  version: number
  epoch: string
}

export function createReceipts(around: ReceiptSurroundings): Receipts {
  const shown = new Map<string, Shown>()
  const due = new Set<string>()
  const inattentive = new Map<string, number>()
  let lastTouch = -Infinity
  let cancel: (() => void) | undefined

  const attentive = () => around.now() - lastTouch <= ATTENTIVE_FOR

  function schedule(keys: Iterable<string>) {
    for (const key of keys) due.add(key)
    if (due.size > 0 && cancel === undefined) cancel = around.later(flush, BATCH)
  }

  function flush() {
    cancel = undefined
    const keys = [...due]
    due.clear()
    if (!around.visible() || !around.entitled()) return
    const watched = attentive()
    for (const [epoch, group] of byEpoch(keys)) {
      for (let first = 0; first < group.length; first += MOST_LEGS) {
        tell(epoch, watched, group.slice(first, first + MOST_LEGS))
      }
    }
  }

  function byEpoch(keys: string[]): Map<string, string[]> {
    const groups = new Map<string, string[]>()
    for (const key of keys) {
      const epoch = shown.get(key)?.epoch
      if (epoch) groups.set(epoch, [...(groups.get(epoch) ?? []), key])
    }
    return groups
  }

  function tell(epoch: string, watched: boolean, keys: string[]) {
    const legs: Record<string, number> = {}
    for (const key of keys) {
      const version = shown.get(key)?.version
      if (version === undefined) continue
      legs[key] = version
      if (watched) inattentive.delete(key)
      else inattentive.set(key, version)
    }
    // The server may be too busy and say so. Another refusal, or loss, costs one needless alert: the
    // next reconnect tells everything again.
    around.send({ epoch, attentive: watched, legs }).catch((refusal: unknown) => {
      if ((refusal as { temporary?: boolean }).temporary) around.later(() => schedule(keys.filter((key) => shown.has(key))), COME_AGAIN)
    })
  }

  return {
    rendered(key, version, epoch) {
      const held = shown.get(key)
      if (held?.version === version && held.epoch === epoch) return
      shown.set(key, { version, epoch })
      if (around.visible()) schedule([key])
    },
    left(key) {
      shown.delete(key)
      due.delete(key)
      inattentive.delete(key)
    },
    touched() {
      lastTouch = around.now()
      if (around.visible()) schedule(inattentive.keys())
    },
    again() {
      if (around.visible()) schedule(shown.keys())
    },
    close() {
      cancel?.()
      cancel = undefined
      shown.clear()
    },
  }
}
