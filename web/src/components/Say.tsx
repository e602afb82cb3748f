import { type Text, say } from '../text'

const BOLD = /<b>(.*?)<\/b>/

/** A text whose `<b>` parts are set in bold. */
export function Say({ id, values }: Text) {
  return say(id, values)
    .split(BOLD)
    .map((part, index) => (index % 2 === 1 ? <b key={index}>{part}</b> : part))
}
