import { useEffect, useMemo } from 'react'
import { MovementSign } from '../../components/pictograms'
import { stampAt, timeAt } from '../../format'
import { type Present, useBoard, usePresent, useWaking } from '../../hooks/live'
import type { Freshness, Verdict } from '../../live/freshness'
import type { Leg, Movement } from '../../live/leg'
import { EMPTY_BOARD, boardSnapshot } from '../../live/reducer'
import { BOARD_WORDS } from '../../locales/board'
import { say } from '../../text'
import { DemoStrip, FreshnessFoot, PageDots, ScanBlock } from './Foot'
import { Row } from './Row'
import styles from './board.module.css'
import { type TileColumn, rowView } from './rowView'
import { type Airport, useAirport } from './useAirport'
import { type Page, useRows } from './useRows'
import { useKeeping, useKept, useRenewal } from './useKeeping'
import { useWakeLock } from './useWakeLock'

interface BoardAddress {
  iata: string
  movement: Movement
}

function zoneOf(airport: Airport | undefined, legs: Iterable<Leg>, movement: Movement): string | undefined {
  if (airport) return airport.tz
  for (const leg of legs) return movement === 'departures' ? leg.dep_tz : leg.arr_tz
  return undefined
}

function tileColumn(legs: Leg[], movement: Movement): TileColumn {
  return movement === 'arrivals' && legs.some((leg) => leg.belts?.length) ? 'belt' : 'gate'
}

function Head({ address, airport, clock }: { address: BoardAddress; airport: Airport | undefined; clock: string }) {
  const { movement, iata } = address
  return (
    <header className={styles.head}>
      <div className={styles.sign}><MovementSign arriving={movement === 'arrivals'} /></div>
      <div className={styles.title}>
        <h1>{say(`board.${movement}`)}</h1>
        <p>{BOARD_WORDS.map((words) => <span key={words.lang} lang={words.lang}>{words[movement]}</span>)}</p>
      </div>
      <div className={styles.where}>
        <b>{airport?.city ?? ''}</b>
        <span>{airport ? `${airport.name} · ${iata}` : iata}</span>
      </div>
      <div className={styles.clock} role="timer">
        {clock.slice(0, 2)}<em>{clock.slice(2, 3)}</em>{clock.slice(3)}
      </div>
    </header>
  )
}

function Columns({ movement, column }: { movement: Movement; column: TileColumn }) {
  return (
    <thead>
      <tr>
        <th scope="col" className={styles.time}>{say('board.col.time')}</th>
        <th scope="col" className={styles.newTime}>{say('board.col.newTime')}</th>
        <th scope="col" className={styles.place}>{say(movement === 'departures' ? 'board.col.to' : 'board.col.from')}</th>
        <th scope="col" className={styles.flight}>{say('board.col.flight')}</th>
        <th scope="col" className={styles.gate}>{say(column === 'belt' ? 'board.col.belt' : 'board.col.gate')}</th>
        <th scope="col" className={styles.remarks}>{say('board.col.remarks')}</th>
      </tr>
    </thead>
  )
}

interface TableProps {
  address: BoardAddress
  city: string
  page: Page
  present: Present
  state: Freshness
}

function Table({ address, city, page, present, state }: TableProps) {
  const { movement, iata } = address
  const column = tileColumn(page.legs, movement)
  return (
    <table className={styles.table}>
      <caption className="vh">{say('board.caption', { title: say(`board.${movement}`), city })}</caption>
      <Columns movement={movement} column={column} />
      <tbody>
        {page.legs.map((leg) => (
          <Row
            key={leg.key} leg={leg.key}
            view={rowView({ leg, movement, airport: iata }, present.board ?? 0, state, column)}
          />
        ))}
      </tbody>
    </table>
  )
}

/** Shown when nothing on the board may be believed any more: large, plain, in the board's languages. */
function DownNotice({ present, zone, clock }: { present: Present; zone: string | undefined; clock: string }) {
  return (
    <main className={styles.notice} role="alert">
      <p className={styles.noticeClock}>{clock}</p>
      <h1>{say('board.down')}</h1>
      {BOARD_WORDS.map((words) => <p key={words.lang} lang={words.lang}>{words.down}</p>)}
      <p className={styles.noticeHint}>{say('board.down.hint')}</p>
      <p className={styles.noticeSince}>
        {present.confirmed === undefined
          ? say('board.down.never')
          : say('board.down.since', { stamp: stampAt(present.confirmed, zone) })}
      </p>
    </main>
  )
}

/** What is on the screen: the live board, or the picture of the last start until the server speaks. */
function useScreen(iata: string, movement: Movement) {
  const name = `${iata}/${movement}`
  const live = { board: useBoard(iata, movement), present: usePresent(iata), airport: useAirport(iata) }
  const kept = useKept(name, live.board.ready)
  useKeeping(name, live.board, live.present, live.airport)
  useRenewal(live.present)
  const shown = useMemo(() => kept && boardSnapshot(
    EMPTY_BOARD, { epoch: 'kept', offset: 0 }, kept.legs.map((leg) => ({ key: leg.key, offset: 0, leg })),
  ), [kept])
  if (!kept || !shown || live.present.verdict.state === 'down') return { ...live, kept: undefined }
  const { confirmed, synthetic, speed } = kept
  const verdict: Verdict = { state: 'stale', cause: 'link', confirmedAt: undefined, ageMs: live.present.mono }
  return { board: shown, airport: kept.airport, present: { ...live.present, confirmed, synthetic, speed, verdict }, kept }
}

export function BoardPage({ iata, movement }: BoardAddress) {
  const { board, present, airport, kept } = useScreen(iata, movement)
  const page = useRows(board, movement, present.wall)
  useWaking()
  useWakeLock()
  useEffect(() => {
    document.title = `${say(`board.${movement}`)} · ${iata}`
  }, [iata, movement])

  const zone = zoneOf(airport, board.legs.values(), movement)
  const clock = present.board === undefined || zone === undefined ? '' : timeAt(present.board, zone)
  // Without board time no claim about time may be made.
  const state = present.board === undefined && present.verdict.state === 'live' ? 'stale' : present.verdict.state
  const nothing = !board.ready && state === 'stale'
  if (state === 'down' || nothing) {
    return (
      <div className={styles.downPage} data-fresh="down">
        <DemoStrip present={present} zone={zone} />
        <DownNotice present={present} zone={zone} clock={clock} />
      </div>
    )
  }
  return (
    <div
      className={styles.board} data-fresh={state} data-ready={board.ready}
      style={{ ['--rows' as string]: page.rows }}
    >
      <Head address={{ iata, movement }} airport={airport} clock={clock} />
      <main className={styles.body}>
        <Table
          address={{ iata, movement }} city={airport?.city ?? iata}
          page={page} present={present} state={state}
        />
        {board.ready && page.legs.length === 0 && <p className={styles.empty}>{say(`board.empty.${movement}`)}</p>}
      </main>
      <footer className={styles.foot}>
        <DemoStrip present={present} zone={zone} />
        <FreshnessFoot present={present} zone={zone} kept={kept} />
        <PageDots page={page.page} pages={page.pages} />
        <ScanBlock />
      </footer>
    </div>
  )
}

export function UnknownBoard() {
  return (
    <div className={styles.downPage}>
      <main className={styles.notice}>
        <h1>{say('board.unknown')}</h1>
        <p className={styles.noticeHint}>{say('board.unknown.hint')}</p>
      </main>
    </div>
  )
}
