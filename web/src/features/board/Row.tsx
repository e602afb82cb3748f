import { memo } from 'react'
import { FlapText } from '../../components/FlapText'
import { RemarkPictogram } from '../../components/pictograms'
import { say } from '../../text'
import styles from './board.module.css'
import { type RowView, sameView } from './rowView'

const FLAP = { flap: styles.flap, cell: styles.cell }
/** Letters of a place that surely fit its column; longer names shrink, and break at the floor. */
const PLACE_LETTERS = 21
const PLACE_FLOOR = 0.6

function cx(...names: (string | false | undefined)[]): string {
  return names.filter(Boolean).join(' ')
}

function TimePair({ view }: { view: RowView }) {
  return (
    <>
      <td className={cx(styles.time, view.timeOld && styles.old)}>
        <bdi dir="ltr">{view.cancelled ? <s>{view.time}</s> : view.time}</bdi>
      </td>
      <td className={cx(styles.newTime, view.newTimeLate && styles.late)}>
        <FlapText text={view.newTime} classes={FLAP} />
        <span className="vh">{view.newTime}</span>
      </td>
    </>
  )
}

function GateTile({ view }: { view: RowView }) {
  if (view.tile === '') {
    return <span className={styles.noTile}><span aria-hidden="true">–</span><span className="vh">{say('board.gateUnknown')}</span></span>
  }
  return (
    <>
      <bdi dir="ltr" className={cx(styles.tile, view.tileFilled && styles.filled, view.tileRinged && styles.ringed, view.tileQuiet && styles.quiet)}>
        {view.tile}
      </bdi>
      {view.tileWas !== '' && (
        <s className={styles.was}><span className="vh">{say('board.was')} </span><bdi dir="ltr">{view.tileWas}</bdi></s>
      )}
    </>
  )
}

function RemarkMark({ view }: { view: RowView }) {
  if (view.kind === 'none') return null
  return (
    <span className={styles.remark} data-tone={view.tone}>
      <RemarkPictogram kind={view.kind} />
      <b>{view.word}</b>
      {view.note !== '' && <i><bdi>{view.note}</bdi></i>}
    </span>
  )
}

export const Row = memo(
  function Row({ view, leg }: { view: RowView; leg: string }) {
    const scale = Math.max(PLACE_FLOOR, PLACE_LETTERS / view.place.length)
    return (
      <tr data-leg={leg} data-remark={view.kind} className={cx(view.cancelled && styles.cancelled, view.done && styles.done)}>
        <TimePair view={view} />
        <th scope="row" className={styles.place}>
          <span style={scale < 1 ? { fontSize: `${scale}em` } : undefined}>{view.place}</span>
        </th>
        <td className={styles.flight}>
          <bdi dir="ltr"><b>{view.airline}</b> {view.number}</bdi>
        </td>
        <td className={styles.gate}><GateTile view={view} /></td>
        <td className={styles.remarks}><RemarkMark view={view} /></td>
      </tr>
    )
  },
  (before, after) => before.leg === after.leg && sameView(before.view, after.view),
)
