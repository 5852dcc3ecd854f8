import type { FTPContext } from 'basic-ftp'

/** Of a line that doesn't end: then it is passed on as it is, and fails there. */
const MOST_HELD = 64 * 1024

/**
 * Has a client hear of a server's answer only when its line has come whole. basic-ftp 6.2 takes the beginning of a line for all of it when
 * the network brings it in two pieces: a port is misread, or encryption begins in the midst of the answer. The hearing is its own affair:
 * where it isn't found under its name there, nothing is changed.
 */
export function hearWholeLines(ftp: FTPContext): void {
  const hear: unknown = Reflect.get(ftp, '_onControlSocketData')
  if (typeof hear !== 'function') return
  let held = ''
  Reflect.set(ftp, '_onControlSocketData', (chunk: string): void => {
    const text = held + chunk
    const end = text.length > MOST_HELD ? text.length : text.lastIndexOf('\n') + 1
    held = text.slice(end)
    if (end > 0) Reflect.apply(hear, ftp, [text.slice(0, end)])
  })
}
