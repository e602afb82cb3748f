import type { Present } from '../hooks/live'
import { say } from '../text'

/** What stands beside the permanent label: what is simulated, or that the replay is over. */
export function demoNote({ report }: Present): string {
  if (report?.replay?.over !== true) return say('demo.note')
  return say(report.replay.again ? 'demo.again' : 'demo.over')
}
