import type { ReactNode } from 'react'
import shared from '../../components/passenger.module.css'
import { GROUP_NAMES, NIGHT, type Preferences, type Quiet, groupOn, stepped, switched, timesOfDay } from './choices'
import { Switch } from './Switch'
import styles from './me.module.css'
import type { Change } from './useSettings'
import { LANGUAGES, useWords } from './words'

export interface ChoiceProps {
  wishes: Preferences
  choose: (change: Change) => void
}

function Part({ title, children, note }: { title: string; children: ReactNode; note?: ReactNode }) {
  return (
    <fieldset className={styles.part}>
      <legend className={shared.section}>{title}</legend>
      <div className={shared.card}>{children}</div>
      {note}
    </fieldset>
  )
}

function Step({ wishes: { delay_step: minutes }, choose }: ChoiceProps) {
  const { say } = useWords()
  const button = (words: string, sign: string, by: 1 | -1) => (
    // Not `disabled`: at its end the button would lose the focus.
    <button
      type="button" aria-label={words} aria-disabled={stepped(minutes, by) === undefined}
      onClick={() => choose((held) => ({ delay_step: stepped(held.delay_step, by) ?? held.delay_step }))}
    >
      {sign}
    </button>
  )
  return (
    <div role="group" aria-label={say('me.step')} className={styles.line}>
      <span className={styles.under}>{say('me.step')}</span>
      <span className={styles.stepper}>
        {button(say('me.step.less'), '−', -1)}
        <output>{say('me.step.minutes', { minutes })}</output>
        {button(say('me.step.more'), '+', 1)}
      </span>
    </div>
  )
}

export function Kinds({ wishes, choose }: ChoiceProps) {
  const { say } = useWords()
  const { kinds } = wishes
  const note = (
    <p className={styles.note}>
      {say(kinds === null ? 'me.kinds.default' : 'me.kinds.own')}{' '}
      {kinds !== null && <button type="button" onClick={() => choose({ kinds: null })}>{say('me.kinds.usual')}</button>}
    </p>
  )
  return (
    <Part title={say('me.kinds')} note={note}>
      {GROUP_NAMES.map((group) => (
        <div key={group}>
          <Switch
            words={say(`me.group.${group}`)} on={groupOn(kinds, group)}
            turn={() => choose((held) => ({ kinds: switched(held.kinds, group) }))}
          />
          {group === 'time' && groupOn(kinds, group) && <Step wishes={wishes} choose={choose} />}
        </div>
      ))}
    </Part>
  )
}

function Span({ quiet, set }: { quiet: Quiet; set: (quiet: Quiet) => void }) {
  const { say } = useWords()
  const time = (words: string, at: string, other: string, take: (at: string) => void) => (
    <label className={styles.line}>
      <span>{words}</span>
      <select value={at} dir="ltr" onChange={({ target }) => take(target.value)}>
        {timesOfDay(at, other).map((each) => <option key={each}>{each}</option>)}
      </select>
    </label>
  )
  return (
    <>
      {time(say('me.quiet.from'), quiet.start, quiet.end, (start) => set({ ...quiet, start }))}
      {time(say('me.quiet.to'), quiet.end, quiet.start, (end) => set({ ...quiet, end }))}
      <Switch
        words={say('me.quiet.urgent')} on={quiet.urgent_passes}
        turn={() => set({ ...quiet, urgent_passes: !quiet.urgent_passes })}
      />
    </>
  )
}

/** Set on the clocks of this device, wherever the flight goes. */
export function QuietHours({ wishes: { quiet, zone }, choose }: ChoiceProps) {
  const { say, zoneName } = useWords()
  const set = (made: Quiet | null) => choose(made ? { quiet: made, zone: Intl.DateTimeFormat().resolvedOptions().timeZone } : { quiet: null })
  const note = quiet && <p className={styles.note}>{say('me.quiet.zone', { zone: zoneName(zone) })}</p>
  return (
    <Part title={say('me.quiet')} note={note}>
      <Switch words={say('me.quiet.on')} on={quiet !== null} turn={() => set(quiet ? null : NIGHT)} />
      {quiet && <Span quiet={quiet} set={set} />}
    </Part>
  )
}

export function Speech({ wishes: { language, hours }, choose }: ChoiceProps) {
  const { say } = useWords()
  return (
    <Part title={say('me.words')}>
      <label className={styles.line}>
        <span>{say('me.language')}</span>
        <select value={language} onChange={({ target }) => choose({ language: target.value })}>
          {LANGUAGES.map(([code, name]) => <option key={code} value={code} lang={code}>{name}</option>)}
        </select>
      </label>
      <label className={styles.line}>
        <span>{say('me.hours')}</span>
        <select value={hours} onChange={({ target }) => choose({ hours: target.value === '12' ? 12 : 24 })}>
          <option value="24">{say('me.hours.24')}</option>
          <option value="12">{say('me.hours.12')}</option>
        </select>
      </label>
    </Part>
  )
}
