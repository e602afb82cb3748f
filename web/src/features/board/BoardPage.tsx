import { Suspense, lazy, useEffect, useMemo } from 'react'
import { MovementSign } from '../../components/pictograms'
import { stampAt, timeAt } from '../../format'
import { type Present, useBoard, usePresent, useWaking } from '../../hooks/live'
import { type Freshness, type Verdict, believable } from '../../live/freshness'
import type { Leg, Movement } from '../../live/leg'
import { EMPTY_BOARD, boardSnapshot } from '../../live/reducer'
import { BOARD_WORDS } from '../../locales/board'
import { type Language, languageNow, placeOf, say, speakIn } from '../../text'
import { DemoStrip, FreshnessFoot, PageDots, ScanBlock } from './Foot'
import { Row } from './Row'
import type AttendantPart from './Attendant'
import type { Selection } from './address'
import styles from './board.module.css'
import { NUMBER_MS, type TileColumn, rowView } from './rowView'
import { slotAt } from './rows'
import { type Airport, useAirport } from './useAirport'
import { type Page, useRows } from './useRows'
import { useKept } from './useKept'
import { useWakeLock } from './useWakeLock'

const ASK_AGAIN_MS = 30_000

/** A server that goes away right after the first paint must not take the board with it. */
function loadAttendant(): Promise<{ default: typeof AttendantPart }> {
  return import('./Attendant').catch(async () => {
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS))
    return loadAttendant()
  })
}

const Attendant = lazy(loadAttendant)
const LANGUAGE_MS = 10_000
const EVERYTHING: Selection = { airlines: [], terminals: [] }

interface BoardAddress {
  iata: string
  movement: Movement
}

function zoneOf(airport: Airport | undefined, legs: Iterable<Leg>, movement: Movement): string | undefined {
  if (airport) return airport.tz
  for (const leg of legs) return movement === 'departures' ? leg.dep_tz : leg.arr_tz
  return undefined
}

function tileColumn(legs: Iterable<Leg>, movement: Movement): TileColumn {
  return movement === 'arrivals' && [...legs].some((leg) => leg.belts?.length) ? 'belt' : 'gate'
}

interface HeadProps {
  address: BoardAddress
  airport: Airport | undefined
  clock: string
  selection: Selection
}

/** The title in the other languages of the hall. */
function otherWords() {
  return BOARD_WORDS.filter(({ lang }) => lang !== languageNow().lang)
}

function Head({ address, airport, clock, selection }: HeadProps) {
  const { movement, iata } = address
  const { airlines, terminals } = selection
  const only = [
    ...(airlines.length > 0 ? [say('board.only.airline', { codes: airlines.join(', ') })] : []),
    ...(terminals.length > 0 ? [say('board.only.terminal', { codes: terminals.join(', ') })] : []),
  ].join(' · ')
  return (
    <header className={styles.head}>
      <div className={styles.sign}><MovementSign arriving={movement === 'arrivals'} /></div>
      <div className={styles.title}>
        <h1>{say(`board.${movement}`)}</h1>
        {only !== '' && <p className={styles.only}>{only}</p>}
        {only === '' && (
          <p>{otherWords().map((words) => <span key={words.lang} lang={words.lang}>{words[movement]}</span>)}</p>
        )}
      </div>
      <div className={styles.where}>
        <b>{airport ? placeOf(iata, airport.city) : ''}</b>
        <span><bdi>{airport ? `${airport.name} · ${iata}` : iata}</bdi></span>
      </div>
      <div className={styles.clock} role="timer" dir="ltr">
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
  column: TileColumn
}

function Table({ address, city, page, present, state, column }: TableProps) {
  const { movement, iata } = address
  const turn = Math.floor((present.wall ?? 0) / NUMBER_MS)
  return (
    <table className={styles.table}>
      <caption className="vh">{say('board.caption', { title: say(`board.${movement}`), city })}</caption>
      <Columns movement={movement} column={column} />
      <tbody>
        {page.legs.map((leg) => (
          <Row
            key={leg.key} leg={leg.key}
            view={rowView({ leg, movement, airport: iata }, present.board ?? present.confirmed ?? 0, state, column, turn)}
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
      <p className={styles.noticeClock} dir="ltr">{clock}</p>
      <h1>{say('board.down')}</h1>
      {otherWords().map((words) => <p key={words.lang} lang={words.lang}>{words.down}</p>)}
      <p className={styles.noticeHint}>{say('board.down.hint')}</p>
      <p className={styles.noticeSince}>
        {present.confirmed === undefined
          ? say('board.down.never')
          : say('board.down.since', { stamp: stampAt(present.confirmed, zone) })}
      </p>
    </main>
  )
}

function sentenceOf(count: number): string {
  return say('board.changed', { count })
}

/** What is on the screen: the live board, or the picture of the last start until the server speaks. */
function useScreen(iata: string, movement: Movement) {
  const name = `${iata}/${movement}`
  const live = { board: useBoard(iata, movement), present: usePresent(iata, movement), airport: useAirport(iata) }
  const kept = useKept(name, live.board.ready)
  const attended = {
    name, ...live, sentenceOf, slot: slotAt(live.present.wall ?? 0),
    sound: live.board.ready && believable(live.present.verdict.state),
  }
  const shown = useMemo(() => kept && boardSnapshot(
    EMPTY_BOARD, { epoch: 'kept', offset: 0 }, kept.legs.map((leg) => ({ key: leg.key, offset: 0, leg })),
  ), [kept])
  if (!kept || !shown || live.present.verdict.state === 'down') return { ...live, kept: undefined, attended }
  const { confirmed, synthetic, speed } = kept
  const verdict: Verdict = { state: 'stale', cause: 'link', confirmedAt: undefined, ageMs: live.present.mono }
  return { board: shown, airport: kept.airport, present: { ...live.present, confirmed, synthetic, speed, verdict }, kept, attended }
}

/** Whole pages speak one language, and all screens the same one, by the clock of the server. */
function useSpoken(languages: Language[], wall: number | undefined): Language {
  const turn = Math.floor((wall ?? 0) / LANGUAGE_MS)
  const language = languages[turn % languages.length] ?? languageNow()
  speakIn(language)
  useEffect(() => {
    document.documentElement.lang = language.lang
    document.documentElement.dir = language.dir
  }, [language])
  return language
}

interface BoardProps extends BoardAddress {
  languages?: Language[]
  selection?: Selection
}

export function BoardPage({ iata, movement, languages = [], selection = EVERYTHING }: BoardProps) {
  const { board, present, airport, kept, attended } = useScreen(iata, movement)
  const { lang, dir } = useSpoken(languages, present.wall)
  const page = useRows(board, movement, present.wall, selection)
  useWaking()
  useWakeLock()
  useEffect(() => {
    document.title = `${say(`board.${movement}`)} · ${iata}`
  }, [iata, movement, lang])

  const zone = zoneOf(airport, board.legs.values(), movement)
  const clock = present.board === undefined || zone === undefined ? '' : timeAt(present.board, zone)
  // Without board time no claim about time may be made.
  const state = present.board === undefined && present.verdict.state === 'live' ? 'stale' : present.verdict.state
  const nothing = !board.ready && state === 'stale'
  if (state === 'down' || nothing) {
    return (
      <div className={styles.downPage} data-fresh="down" lang={lang} dir={dir}>
        <DemoStrip present={present} zone={zone} />
        <DownNotice present={present} zone={zone} clock={clock} />
      </div>
    )
  }
  return (
    <div
      className={styles.board} data-fresh={state} data-ready={board.ready} lang={lang} dir={dir}
      style={{ ['--rows' as string]: page.rows }}
    >
      <Head address={{ iata, movement }} airport={airport} clock={clock} selection={selection} />
      <main className={styles.body}>
        <Table
          address={{ iata, movement }} city={placeOf(iata, airport?.city)}
          page={page} present={present} state={state} column={tileColumn(board.legs.values(), movement)}
        />
        {board.ready && page.legs.length === 0 && (
          <p className={styles.empty}>{say(believable(state) ? `board.empty.${movement}` : 'board.empty.unknown')}</p>
        )}
      </main>
      <footer className={styles.foot}>
        <DemoStrip present={present} zone={zone} />
        <FreshnessFoot present={present} zone={zone} kept={kept} />
        <PageDots page={page.page} pages={page.pages} />
        <ScanBlock />
      </footer>
      <Suspense><Attendant {...attended} /></Suspense>
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
