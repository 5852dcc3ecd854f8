import type { Cell } from '../databases/port.ts'
import { compareDecimals } from './merge-decimal.ts'

const INSTANT =
  /^(-?\d{1,6})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,12}))?)?)?\s*(?:(Z)|([+-])(\d{2}):?(\d{2})?(?::?(\d{2}))?)?( BC)?$/

const PICOSECONDS = 10n ** 12n

/**
 * Days from 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms",
 * days_from_civil).
 */
function daysOf(year: bigint, month: bigint, day: bigint): bigint {
  const y = month <= 2n ? year - 1n : year
  const era = (y >= 0n ? y : y - 399n) / 400n
  const ofEra = y - era * 400n
  const ofYear = (153n * (month + (month > 2n ? -3n : 9n)) + 2n) / 5n + day - 1n
  return era * 146_097n + ofEra * 365n + ofEra / 4n - ofEra / 100n + ofYear - 719_468n
}

/** Picoseconds since 1970-01-01 UTC, where the text is a date or a time of day on a date; without an offset it is taken as UTC's. */
function instantOf(text: string): bigint | undefined {
  const match = INSTANT.exec(text.trim())
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second, fraction, , sign, offsetHour, offsetMinute, offsetSecond, bc] = match
  const number = (digits: string | undefined): bigint => BigInt(digits ?? '0')
  const days = daysOf(bc === undefined ? number(year) : 1n - number(year), number(month), number(day))
  const offset = number(offsetHour) * 3600n + number(offsetMinute) * 60n + number(offsetSecond)
  const seconds = days * 86_400n + number(hour) * 3600n + number(minute) * 60n + number(second)
  const utc = sign === '-' ? seconds + offset : seconds - offset
  return utc * PICOSECONDS + BigInt((fraction ?? '').padEnd(12, '0'))
}

/**
 * Below 0, 0 or above 0 as `a` is older than, as old as or newer than `b`: instants by time whatever their offsets, numbers by value.
 * NULL is oldest. `undefined` where the texts are neither.
 */
export function compareAge(a: Cell, b: Cell): number | undefined {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1
  if (a === b) return 0
  const [one, other] = [instantOf(a), instantOf(b)]
  if (one !== undefined && other !== undefined) return one === other ? 0 : one < other ? -1 : 1
  return compareDecimals(a, b)
}
