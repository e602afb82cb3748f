/** Own pictograms on a 24-unit grid: each remark has its own shape, so that colour only helps. */
import type { RemarkKind } from '../live/remarks'

const CLOCK = 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17M12 7v5.2l3.3 2'
const CROSS = 'M6 6l12 12M18 6L6 18'
const CHECK = 'M5 12.5l4.7 4.7L19.5 7.5'
const OUT = 'M6.5 17.5L17.5 6.5M8.5 6.5h9v9'
const DOWN = 'M6.5 6.5l11 11M17.5 8.5v9h-9'
const WALK = 'M13 4.3a.8.8 0 1 0 0-.01M7.5 12l1.3-3.6L12 7.3l2.2 3.2 2.9 1.1M11.9 7.4l-1.1 5.8 3.5 3.3.9 4.7M10.5 14.5l-1 3.3-2.5 3.4'
const ALERT = 'M12 4L2.8 20h18.4zM12 10v4.5M12 17.3v.2'
const SWAP = 'M4 8h14.5M15 4.5L18.5 8 15 11.5M20 16H5.5M9 12.5L5.5 16 9 19.5'
const LOCK = 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3'
const TURN = 'M9 7L5 11l4 4M5 11h9a5 5 0 0 1 0 10h-2'
const INFO = 'M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17M12 11v5.5M12 7.6v.2'
const BAG = 'M5 8h14v12H5zM9 8V4.5h6V8M9 8v12M15 8v12'
const DESK = 'M4 19h16M6 19v-6h12v6M9 13V6h6v7'

const PATHS: Record<RemarkKind, string | undefined> = {
  cancelled: CROSS,
  diverted: TURN,
  diverted_to: TURN,
  returned: TURN,
  bags_delivered: BAG,
  arrived: CHECK,
  landed: DOWN,
  departed: OUT,
  expected: CLOCK,
  gate_closed: LOCK,
  final_call: ALERT,
  boarding: WALK,
  go_to_gate: WALK,
  gate_changed: SWAP,
  next_info: INFO,
  delayed: CLOCK,
  early: CLOCK,
  check_in: DESK,
  on_time: CHECK,
  check_gate: INFO,
  none: undefined,
}

export function RemarkPictogram({ kind, className }: { kind: RemarkKind; className?: string }) {
  const path = PATHS[kind]
  return path === undefined ? null : (
    <svg
      className={className} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2.1"
      strokeLinecap="round" strokeLinejoin="round" aria-hidden="true"
    >
      <path d={path} />
    </svg>
  )
}

const PLANE = 'M4 33.2l5.6-1.5 6.7 4.4 11-3L16.7 17.6l5.7-1.6 16.9 13.8 10.4-2.8c2.3-.6 4.7.7 5.3 2.9.6 2.3-.8 4.6-3 5.2L15.5 44.9c-1.5.4-3.1 0-4.3-1.1z'

/** The header sign: a plane that climbs or comes down over the runway. */
export function MovementSign({ arriving }: { arriving: boolean }) {
  return (
    <svg viewBox="0 0 60 60" fill="currentColor" aria-hidden="true">
      <path d={PLANE} transform={arriving ? 'translate(1 -5) rotate(30 30 30)' : 'translate(0 -8)'} />
      <rect x="6" y="50" width="48" height="4" rx="2" />
    </svg>
  )
}
