import styles from './me.module.css'

export function Switch({ words, on, turn }: { words: string; on: boolean; turn: () => void }) {
  return (
    <label className={styles.line}>
      <span>{words}</span>
      <input type="checkbox" role="switch" checked={on} onChange={turn} />
    </label>
  )
}
