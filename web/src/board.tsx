import '@fontsource-variable/atkinson-hyperlegible-next/wght.css'
import '@fontsource-variable/atkinson-hyperlegible-mono/wght.css'
import './tokens.css'
import './features/board/screen.css'
import { createRoot } from 'react-dom/client'
import { BoardPage, UnknownBoard } from './features/board/BoardPage'
import { boardAddress } from './features/board/address'
import { StoreProvider } from './hooks/live'
import { createClient, socketUrl } from './live/client'
import { createStore } from './live/store'
import { plainSpeaker } from './components/plainSpeaker'
import { messages } from './locales/board/en.json?lingui'
import { messages as screens } from './locales/screens/en.json?lingui'
import { speakWith } from './text'

speakWith(plainSpeaker({ ...screens, ...messages }))
const address = boardAddress(window.location.pathname)
const root = createRoot(document.getElementById('root') ?? document.body)
root.render(
  address === undefined ? (
    <UnknownBoard />
  ) : (
    <StoreProvider value={createStore(createClient(socketUrl(window.location)))}>
      <BoardPage {...address} />
    </StoreProvider>
  ),
)
