/** Own line icons of the passenger pages on a 24-unit grid. */
const PATHS = {
  back: 'M14.5 5.5L8 12l6.5 6.5',
  share: 'M12 15V3.5M7.5 7.5L12 3l4.5 4.5M5 12.5V20h14v-7.5',
  bell: 'M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15zM10 20.8a2.2 2.2 0 0 0 4 0M12 5V3.2',
  check: 'M5 12.5l4.7 4.7L19.5 7.5',
  close: 'M6 6l12 12M18 6L6 18',
  right: 'M4.5 12h15M13 5.5l6.5 6.5-6.5 6.5',
  screen: 'M3.5 4.5h17v11.5h-17zM9 20h6M12 16v4',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name, size = 22, stroke = 2 }: { name: IconName; size?: number; stroke?: number }) {
  return (
    <svg
      width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth={stroke}
      strokeLinecap="round" strokeLinejoin="round" aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  )
}

/** The plane of the route card, nose to the right. */
export function PlaneIcon({ className }: { className?: string | undefined }) {
  return (
    <svg className={className} width="30" height="22" viewBox="0 0 30 22" fill="currentColor" aria-hidden="true">
      <path d="M28 9.3c1.3.5 1.3 2.9 0 3.4-2.3.8-4.9 1-7.3 1L15 21.5h-3.2l3-7.8c-2.7-.1-5.4-.3-7.6-.6L5.3 16H3l.9-4.1C2.8 11.7 2 11.4 2 11s.8-.7 1.9-.9L3 6h2.3l1.9 2.9c2.2-.3 4.9-.5 7.6-.6l-3-7.8H15l5.7 7.8c2.4 0 5 .2 7.3 1z" />
    </svg>
  )
}
