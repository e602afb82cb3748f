import { i18n } from '@lingui/core'
import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { Link } from 'react-router'
import { Notice, ProblemNotice, Skeleton } from '../../components/Notice'
import shared from '../../components/passenger.module.css'
import { messages } from '../../locales/me/en.json?lingui'
import { credential, listFollows } from '../../rest/account'
import { Problem } from '../../rest/client'
import { FOLLOWS } from '../../rest/queries'
import { say } from '../../text'
import { Kinds, QuietHours, Step, Words } from './ChoiceCards'
import { Followed } from './Followed'
import styles from './me.module.css'
import { useSettings } from './useSettings'

i18n.load('en', messages)

function Mine() {
  const { data: follows, error: unread, refetch } = useQuery({ queryKey: FOLLOWS, queryFn: listFollows })
  const { wishes, error, retry, word, failed, choose } = useSettings()
  if (error instanceof Problem && error.status === 401) return <Nobody />
  return (
    <>
      <h1 className={shared.heading}>{say('me.title')}</h1>
      {follows ? <Followed follows={follows} /> : unread ? <ProblemNotice error={unread} retry={() => void refetch()} /> : <Skeleton />}
      {wishes ? (
        <>
          <Kinds wishes={wishes} choose={choose} />
          <Step wishes={wishes} choose={choose} />
          <QuietHours wishes={wishes} choose={choose} />
          <Words wishes={wishes} choose={choose} />
        </>
      ) : error ? <ProblemNotice error={error} retry={retry} /> : <Skeleton />}
      <p role={failed ? 'alert' : 'status'} className={styles.word}>{word}</p>
    </>
  )
}

function Nobody() {
  return <Notice title={say('me.none.title')} line={say('me.none.line')} />
}

/** What this browser's account follows and wants to be told; loaded when somebody comes here. */
export default function MePage() {
  useEffect(() => {
    document.title = say('me.title')
  }, [])
  return (
    <main className={shared.page}>
      <p className={styles.home}><Link to="/">{say('app.home')}</Link></p>
      {credential() === null ? <Nobody /> : <Mine />}
    </main>
  )
}
