import { useState } from 'react'
import shared from '../../components/passenger.module.css'
import { say } from '../../text'
import { GROUP_NAMES, NIGHT, type Preferences, type Quiet, groupOn, quietWith, stepped, switched } from './choices'
import styles from './me.module.css'

const LANGUAGES = [['en', 'English'], ['es', 'Español'], ['ar', 'العربية']] as const

export interface ChoiceProps {
  wishes: Preferences
  choose: (change: Partial<Preferences>) => void
}

export function Kinds({ wishes: { kinds }, choose }: ChoiceProps) {
  return (
    <fieldset className={styles.part}>
      <legend className={shared.section}>{say('me.kinds')}</legend>
      <div className={shared.card}>
        {GROUP_NAMES.map((group) => (
          <label key={group} className={styles.line}>
            <span>{say(`me.group.${group}`)}</span>
            <input
              type="checkbox" checked={groupOn(kinds, group)}
              onChange={() => choose({ kinds: switched(kinds, group) })}
            />
          </label>
        ))}
      </div>
      <p className={styles.note}>
        {say(kinds === null ? 'me.kinds.default' : 'me.kinds.own')}{' '}
        {kinds !== null && <button type="button" onClick={() => choose({ kinds: null })}>{say('me.kinds.usual')}</button>}
      </p>
    </fieldset>
  )
}

export function Step({ wishes: { delay_step: minutes }, choose }: ChoiceProps) {
  const [less, more] = [stepped(minutes, -1), stepped(minutes, 1)]
  const take = (step: number | undefined) => step !== undefined && choose({ delay_step: step })
  return (
    <div role="group" aria-label={say('me.step')} className={`${shared.card} ${styles.line}`}>
      <span>{say('me.step')}</span>
      <span className={styles.stepper}>
        <button type="button" aria-label={say('me.step.less')} disabled={less === undefined} onClick={() => take(less)}>−</button>
        <output>{say('me.step.minutes', { minutes })}</output>
        <button type="button" aria-label={say('me.step.more')} disabled={more === undefined} onClick={() => take(more)}>+</button>
      </span>
    </div>
  )
}

function Span({ quiet, set }: { quiet: Quiet; set: (quiet: Quiet) => void }) {
  const [wrong, setWrong] = useState(false)
  const take = (change: Partial<Quiet>) => {
    const made = quietWith(quiet, change)
    setWrong(made === undefined)
    if (made) set(made)
  }
  return (
    <>
      {(['start', 'end'] as const).map((end) => (
        <label key={end} className={styles.line}>
          <span>{say(end === 'start' ? 'me.quiet.from' : 'me.quiet.to')}</span>
          <input
            type="time" key={quiet[end]} defaultValue={quiet[end]}
            onBlur={({ target }) => target.value !== quiet[end] && take({ [end]: target.value })}
          />
        </label>
      ))}
      <label className={styles.line}>
        <span>{say('me.quiet.urgent')}</span>
        <input type="checkbox" checked={quiet.urgent_passes} onChange={() => take({ urgent_passes: !quiet.urgent_passes })} />
      </label>
      {wrong && <p role="alert" className={styles.line}>{say('me.quiet.same')}</p>}
    </>
  )
}

/** Set on the clocks of this device, wherever the flight goes. */
export function QuietHours({ wishes: { quiet, zone }, choose }: ChoiceProps) {
  const set = (made: Quiet | null) => choose(made ? { quiet: made, zone: Intl.DateTimeFormat().resolvedOptions().timeZone } : { quiet: null })
  return (
    <fieldset className={styles.part}>
      <legend className={shared.section}>{say('me.quiet')}</legend>
      <div className={shared.card}>
        <label className={styles.line}>
          <span>{say('me.quiet.on')}</span>
          <input type="checkbox" checked={quiet !== null} onChange={() => set(quiet ? null : NIGHT)} />
        </label>
        {quiet && <Span quiet={quiet} set={set} />}
      </div>
      {quiet && <p className={styles.note}>{say('me.quiet.zone', { zone })}</p>}
    </fieldset>
  )
}

export function Words({ wishes: { language, hours }, choose }: ChoiceProps) {
  return (
    <fieldset className={styles.part}>
      <legend className={shared.section}>{say('me.words')}</legend>
      <div className={shared.card}>
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
      </div>
    </fieldset>
  )
}
