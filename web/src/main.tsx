import '@fontsource-variable/inter/opsz.css'
import '@fontsource-variable/atkinson-hyperlegible-next/wght.css'
import './tokens.css'
import './passenger.css'
import { i18n } from '@lingui/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createRoot } from 'react-dom/client'
import { BrowserRouter } from 'react-router'
import { App } from './App'
import { StoreProvider } from './hooks/live'
import { ReceiptsProvider, attendTo } from './hooks/receipts'
import { createClient, socketUrl } from './live/client'
import { createReceipts } from './live/receipts'
import { createStore } from './live/store'
import { messages } from './locales/en.json?lingui'
import { messages as screens } from './locales/screens/en.json?lingui'
import { connectionToken, credential } from './rest/account'
import { speakWith } from './text'

i18n.load('en', { ...screens, ...messages })
i18n.activate('en')
speakWith((id, values) => i18n._(id, values))

const client = createClient(socketUrl(window.location), connectionToken)
const store = createStore(client)
// Missing where pages are not served securely.
const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined
const receipts = createReceipts({
  send: (body) => {
    // The worker drops a push about what a page has shown.
    workers?.controller?.postMessage({ displayed: body.legs })
    return client.call('ack', body)
  },
  visible: () => document.visibilityState === 'visible',
  entitled: () => client.connected() && credential() !== null,
  now: () => performance.now(),
  later: (run, ms) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
})
store.onContact(() => receipts.again())
workers?.addEventListener('controllerchange', () => receipts.again())
attendTo(receipts, window)

const queries = new QueryClient({ defaultOptions: { queries: { staleTime: 30_000 } } })

createRoot(document.getElementById('root') ?? document.body).render(
  <QueryClientProvider client={queries}>
    <StoreProvider value={store}>
      <ReceiptsProvider value={receipts}>
        <BrowserRouter>
          <App />
        </BrowserRouter>
      </ReceiptsProvider>
    </StoreProvider>
  </QueryClientProvider>,
)
