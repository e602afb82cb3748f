import type { ReactNode } from 'react'
import shared from '../../components/passenger.module.css'
import { useAlerts } from '../../hooks/alerts'
import { useDevice } from '../../hooks/device'
import { Switch } from './Switch'
import styles from './me.module.css'
import { reasonOf } from './reason'
import { type TestNotice, type Trial, useTest } from './useTest'
import { useWords } from './words'

function Outcome({ notice: { state, devices, took_ms: took } }: { notice: TestNotice }) {
  const { say } = useWords()
  if (state === 'expired') return <p>{say('me.test.expired')}</p>
  if (devices.length === 0) return <p>{say('me.test.no_device')}</p>
  return (
    <>
      <ul>
        {devices.map(({ device_id: id, platform, outcome }) => (
          <li key={id} data-outcome={outcome}>
            <b>{say(`me.platform.${platform}`)}</b> {say(`me.outcome.${outcome}`)}
          </li>
        ))}
      </ul>
      {took !== null && <p>{say('me.test.took', { took })}</p>}
    </>
  )
}

function Told({ trial }: { trial: Trial }) {
  const { say } = useWords()
  if (trial.state === 'over') return <Outcome notice={trial.notice} />
  if (trial.state === 'failed') return <p>{say('me.test.failed', { why: say(reasonOf(trial.fault)) })}</p>
  return trial.state === 'asking' && <p>{say('me.test.asking')}</p>
}

/** The alerts of this browser only; other devices of the account have theirs. */
function OffSwitch() {
  const { say } = useWords()
  const { off, fault, turn } = useDevice()
  return (
    <>
      <Switch words={say('me.device.send')} on={!off} turn={turn} />
      {fault !== undefined && <p role="alert" className={styles.fault}>{say('me.failed', { why: say(reasonOf(fault)) })}</p>}
    </>
  )
}

/** Whether alerts reach this browser, the switch for it where the browser has not been asked, and the proof. */
export function DeviceCard({ children }: { children: ReactNode }) {
  const { say } = useWords()
  const { rung, askable, asking, turnOn } = useAlerts()
  const { trial, ask } = useTest()
  return (
    <section aria-labelledby="me-device">
      <h2 id="me-device" className={shared.section}>{say('me.device')}</h2>
      <div className={`${shared.card} ${styles.device}`}>
        <p role="status" data-rung={rung}>{rung ? say(`me.rung.${rung}`) : askable && say('me.rung.ask')}</p>
        {askable && (
          <button type="button" className={styles.main} onClick={() => asking || turnOn()}>
            {say(asking ? 'me.asking' : 'me.turn_on')}
          </button>
        )}
        {(rung === 'push' || rung === 'off') && <OffSwitch />}
        {children}
        <button type="button" className={styles.second} aria-busy={trial.state === 'asking'} onClick={ask}>
          {say('me.test.ask')}
        </button>
        <div role="status" className={styles.outcome} data-test={trial.state}><Told trial={trial} /></div>
      </div>
    </section>
  )
}
