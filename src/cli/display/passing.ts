import { clip } from './frame.ts'

/** Shows a line that the next one takes away again; `undefined` takes it away. */
export type Passing = (text: string | undefined) => void

export const noPassing: Passing = () => undefined

// ECMA-48: erase in line, all of it.
const ERASE = '\r\u001b[2K'

/** A line in passing, on a terminal. */
export function passingOn(write: (text: string) => void, columns: () => number): Passing {
  let isShown = false
  return (text) => {
    if (text === undefined && !isShown) return
    isShown = text !== undefined
    write(text === undefined ? ERASE : `${ERASE}${clip(`… ${text}`, columns() - 1)}`)
  }
}
