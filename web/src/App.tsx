import { Suspense, lazy } from 'react'
import { Link, Route, Routes } from 'react-router'
import { Notice, ProblemNotice, Skeleton } from './components/Notice'
import shared from './components/passenger.module.css'
import { AirportPage } from './features/airport/AirportPage'
import { FlightPage } from './features/flight/FlightPage'
import { HomePage } from './features/home/HomePage'
import { useWaking } from './hooks/live'
import { say } from './text'

const MePage = lazy(() => import('./features/me/MePage').catch(() => ({ default: UnloadedPage })))

function UnloadedPage() {
  return (
    <main className={shared.page}>
      <ProblemNotice error={undefined} retry={() => window.location.reload()} />
    </main>
  )
}

function MissingPage() {
  return (
    <main className={shared.page}>
      <Notice title={say('app.missing.title')} line={say('app.missing.line')}>
        <Link to="/">{say('app.home')}</Link>
      </Notice>
    </main>
  )
}

export function App() {
  useWaking()
  return (
    <Routes>
      <Route path="/" element={<HomePage />} />
      <Route path="/airports/:iata" element={<AirportPage />} />
      <Route path="/f/:key" element={<FlightPage />} />
      <Route path="/me" element={<Suspense fallback={<Skeleton />}><MePage /></Suspense>} />
      <Route path="*" element={<MissingPage />} />
    </Routes>
  )
}
