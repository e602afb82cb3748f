import '@fontsource-variable/atkinson-hyperlegible-next/wght.css'
import '@fontsource-variable/atkinson-hyperlegible-mono/wght.css'
import './tokens.css'
import './features/board/screen.css'
import { createRoot } from 'react-dom/client'
import { BoardPage, UnknownBoard } from './features/board/BoardPage'
import { boardAddress, selectionOf } from './features/board/address'
import { StoreProvider } from './hooks/live'
import { createClient, socketUrl } from './live/client'
import { createStore } from './live/store'
import { languagesOf } from './locales/languages'
import { speakIn } from './text'

const { pathname, search } = window.location
const languages = await languagesOf(new URLSearchParams(search).get('lang'))
if (languages[0]) speakIn(languages[0])
const address = boardAddress(pathname)
const root = createRoot(document.getElementById('root') ?? document.body)
root.render(
  address === undefined ? (
    <UnknownBoard />
  ) : (
    <StoreProvider value={createStore(createClient(socketUrl(window.location)))}>
      <BoardPage {...address} languages={languages} selection={selectionOf(search)} />
    </StoreProvider>
  ),
)
