import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useEffect } from 'react'
import { Link } from 'react-router'
import { Notice, Skeleton } from '../../components/Notice'
import shared from '../../components/passenger.module.css'
import { credential, listFollows } from '../../rest/account'
import { Problem } from '../../rest/client'
import { FOLLOWS } from '../../rest/queries'
import { DeviceCard } from './DeviceCard'
import { Kinds, QuietHours, Speech } from './ChoiceCards'
import { Followed } from './Followed'
import { Preview } from './Preview'
import { groupOn } from './choices'
import styles from './me.module.css'
import { reasonOf } from './reason'
import { type Saving, useSettings } from './useSettings'
import { WordsProvider, useWords, wordsOf } from './words'

/** The page in one language; the other pages are English, so the document goes back to that. */
function Spoken({ language, children }: { language: string; children: ReactNode }) {
  const words = wordsOf(language)
  useEffect(() => {
    const { documentElement: root } = document
    const held = { lang: root.lang, dir: root.dir }
    Object.assign(root, { lang: words.lang, dir: words.dir })
    document.title = words.say('me.title')
    return () => {
      Object.assign(root, held)
    }
  }, [words])
  return <WordsProvider value={words}>{children}</WordsProvider>
}

function Frame({ children }: { children: ReactNode }) {
  const { say } = useWords()
  return (
    <main className={shared.page}>
      <p className={styles.home}><Link to="/">{say('me.home')}</Link></p>
      {children}
    </main>
  )
}

function Nobody() {
  const { say } = useWords()
  return <Frame><Notice title={say('me.none.title')} line={say('me.none.line')} /></Frame>
}

function Unread({ error, retry }: { error: unknown; retry: () => void }) {
  const { say } = useWords()
  return (
    <Notice title={say('me.unread')} line={say(reasonOf(error))}>
      <button type="button" className={shared.retry} onClick={retry}>{say('me.retry')}</button>
    </Notice>
  )
}

function Saved({ saving }: { saving: Saving }) {
  const { say } = useWords()
  if (saving.state === 'failed') {
    return <p role="alert" className={styles.word}>{say('me.failed', { why: say(reasonOf(saving.fault)) })}</p>
  }
  return <p role="status" data-state={saving.state} className={styles.word}>{saving.state !== 'idle' && say(`me.${saving.state}`)}</p>
}

function Follows() {
  const { data: follows, error, refetch } = useQuery({ queryKey: FOLLOWS, queryFn: listFollows, refetchOnMount: 'always' })
  if (follows) return <Followed follows={follows} />
  return error ? <Unread error={error} retry={() => void refetch()} /> : <Skeleton />
}

function Mine() {
  const { wishes, error, retry, saving, choose } = useSettings()
  const gone = error instanceof Problem && error.status === 401
  if (wishes === undefined && error === null) return <main className={shared.page}><Skeleton /></main>
  return (
    <Spoken language={wishes?.language ?? navigator.language}>
      {gone ? <Nobody /> : wishes === undefined ? <Frame><Unread error={error} retry={retry} /></Frame> : (
        <Frame>
          <Title />
          <Follows />
          <DeviceCard>
            {groupOn(wishes.kinds, 'time') && <Preview wishes={wishes} settled={saving.state !== 'saving'} />}
          </DeviceCard>
          <Kinds wishes={wishes} choose={choose} />
          <QuietHours wishes={wishes} choose={choose} />
          <Speech wishes={wishes} choose={choose} />
          <Saved saving={saving} />
        </Frame>
      )}
    </Spoken>
  )
}

function Title() {
  const { say } = useWords()
  return <h1 className={shared.heading}>{say('me.title')}</h1>
}

/** What this browser's account follows and wants to be told; loaded when somebody comes here. */
export default function MePage() {
  if (credential() !== null) return <Mine />
  return <Spoken language={navigator.language}><Nobody /></Spoken>
}
