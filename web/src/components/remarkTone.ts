import type { RemarkKind } from '../live/remarks'

/** The hue of a remark. Five hues that stay apart for colour-blind eyes, and two greys. */
export type Tone = 'ok' | 'go' | 'boarding' | 'final' | 'delayed' | 'gate' | 'critical' | 'neutral' | 'done'

export const TONES: Record<RemarkKind, Tone> = {
  cancelled: 'critical',
  diverted: 'critical',
  diverted_to: 'critical',
  returned: 'critical',
  bags_delivered: 'done',
  arrived: 'done',
  landed: 'done',
  departed: 'done',
  expected: 'neutral',
  gate_closed: 'critical',
  final_call: 'final',
  boarding: 'boarding',
  go_to_gate: 'go',
  gate_changed: 'gate',
  next_info: 'delayed',
  delayed: 'delayed',
  early: 'neutral',
  check_in: 'neutral',
  on_time: 'ok',
  check_gate: 'done',
  none: 'neutral',
}
