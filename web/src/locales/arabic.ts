import { messages } from './board/ar.json?lingui'
import places from './places/ar.json'
import { messages as screens } from './screens/ar.json?lingui'

export const ARABIC = { messages: { ...screens, ...messages }, places }
