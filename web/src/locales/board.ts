/** What a board says in several languages at once, beside the language of its catalogue. */
export interface BoardWords {
  lang: string
  departures: string
  arrivals: string
  down: string
}

export const BOARD_WORDS: readonly BoardWords[] = [
  { lang: 'es', departures: 'Salidas', arrivals: 'Llegadas', down: 'Esta pantalla no muestra información de vuelos' },
  { lang: 'zh', departures: '出发', arrivals: '到达', down: '此屏幕暂无航班信息，请询问工作人员' },
  { lang: 'fr', departures: 'Départs', arrivals: 'Arrivées', down: 'Cet écran n’affiche pas les informations de vol' },
  { lang: 'en', departures: 'Departures', arrivals: 'Arrivals', down: 'This screen does not show flight information' },
]
