import { isoTime } from '../../base/clock.ts'

/**
 * Dates and times from their bytes ([MS-TDS] 2.2.5.5.1.8) → the text that the server would print with style 121 (date: 23, smalldatetime:
 * 120), the same that dates.ts makes of the driver's values.
 */
const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
/** Of 0001-01-01 and 1900-01-01 in the calendar that SQL Server uses for all years ("date (Transact-SQL)"). */
const YEAR_ONE_MS = Date.UTC(2001, 0, 1) - 730_485 * DAY_MS
const YEAR_1900_MS = Date.UTC(1900, 0, 1)

const dayMs = (bytes: Buffer): number => YEAR_ONE_MS + bytes.readUIntLE(0, 3) * DAY_MS

export const dayCell = (bytes: Buffer): string => isoTime(dayMs(bytes)).slice(0, 10)

/** `yyyy-mm-dd hh:mm:ss` and as much of what follows as is wanted. */
const text = (ms: number, length: number): string => isoTime(ms).slice(0, length).replace('T', ' ')
const SECONDS = 19
const MILLISECONDS = 23

const two = (number: number): string => String(number).padStart(2, '0')

/** `hh:mm:ss` and as many digits as the scale has, of a count of such parts of a second since midnight. */
export function timeCell(bytes: Buffer, scale: number): string {
  const count = bytes.readUIntLE(0, bytes.length)
  const parts = 10 ** scale
  const seconds = Math.floor(count / parts)
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return scale === 0 ? clock : `${clock}.${String(count - seconds * parts).padStart(scale, '0')}`
}

export const dateTime2Cell = (bytes: Buffer, scale: number): string =>
  `${dayCell(bytes.subarray(bytes.length - 3))} ${timeCell(bytes.subarray(0, bytes.length - 3), scale)}`

/** The bytes hold the time in UTC, the text the time there. */
export function dateTimeOffsetCell(bytes: Buffer, scale: number): string {
  const offset = bytes.readInt16LE(bytes.length - 2)
  const parts = 10 ** scale
  const count = bytes.readUIntLE(0, bytes.length - 5)
  const there = dayMs(bytes.subarray(bytes.length - 5)) + Math.floor(count / parts) * 1000 + offset * MINUTE_MS
  const fraction = scale === 0 ? '' : `.${String(count % parts).padStart(scale, '0')}`
  const away = Math.abs(offset)
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(away / 60))}:${two(away % 60)}`
  return `${text(there, SECONDS)}${fraction} ${zone}`
}

export const dateTimeCell = (bytes: Buffer): string =>
  text(YEAR_1900_MS + bytes.readInt32LE(0) * DAY_MS + Math.round((bytes.readUInt32LE(4) * 10) / 3), MILLISECONDS)

export const smallDateTimeCell = (bytes: Buffer): string =>
  text(YEAR_1900_MS + bytes.readUInt16LE(0) * DAY_MS + bytes.readUInt16LE(2) * MINUTE_MS, SECONDS)
