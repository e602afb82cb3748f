import { type InfiniteData, useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import type { FlightState } from '../../live/reducer'
import { type HistoryPage, type PastChange, readHistory } from '../../rest/flights'
import { historyQuery } from '../../rest/queries'

type Pages = InfiniteData<HistoryPage, number | undefined>

/** What the channel said last, as the history has it; its source is known only to the server. */
function liveChange({ change, witnessed }: FlightState): PastChange | undefined {
  return witnessed && change
    ? { version: change.version, at: change.at, kinds: change.kinds, changed: change.fields }
    : undefined
}

function withChange(pages: Pages, change: PastChange): Pages {
  const [first, ...others] = pages.pages
  return first ? { ...pages, pages: [{ ...first, items: [change, ...first.items] }, ...others] } : pages
}

/**
 * The history by pages, newest first. A change that comes live is put before it; where the channel
 * skipped one, the pages are read again.
 */
export function useHistory(key: string, flight: FlightState) {
  const queries = useQueryClient()
  const queryKey = historyQuery(key, flight.epoch)
  const read = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) => readHistory(key, pageParam),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    staleTime: Infinity,
  })
  const { data, isFetching, refetch } = read
  const askedFor = useRef(0)
  const top = data?.pages[0]?.items[0]?.version
  useEffect(() => {
    if (top === undefined || isFetching || flight.version <= top) return
    const change = liveChange(flight)
    if (change?.version === top + 1) {
      queries.setQueryData<Pages>(historyQuery(key, flight.epoch), (held) => held && withChange(held, change))
    } else if (askedFor.current !== flight.version) {
      askedFor.current = flight.version
      void refetch()
    }
  }, [queries, key, flight, top, isFetching, refetch])
  return read
}
