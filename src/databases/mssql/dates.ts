/**
 * Dates and times as the driver gives them → the text that the server would print with style 121 (date: 23, smalldatetime: 120). The
 * driver's Date holds a whole number of milliseconds in UTC, and beside it, for time and datetime2, the hundreds of nanoseconds below
 * that in seconds (`nanosecondsDelta`, a whole number of 1e-7): together exactly what was on the wire ([MS-TDS] 2.2.5.5.1.8).
 * datetime counts 1/300 seconds, which both the driver and the server round to .000, .003 and .007 ("datetime (Transact-SQL)").
 */
export type DateText = (value: Date) => string

export const dateText: DateText = (value) => value.toISOString().slice(0, 10)

export const smallDateTimeText: DateText = (value) => {
  const iso = value.toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}`
}

const DAY_MS = 86_400_000
/** '00' to '59'. */
const TWO_DIGITS = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'))
/** The day of the value before, since rows that follow each other are often of one. */
let lastDay = { number: Number.NaN, text: '' }

/** Written by itself, at a third of what an ISO text costs: tables of orders have several such columns. */
export const dateTimeText: DateText = (value) => {
  const time = value.getTime()
  const number = Math.floor(time / DAY_MS)
  if (number !== lastDay.number) lastDay = { number, text: value.toISOString().slice(0, 10) }
  const within = time - number * DAY_MS
  const seconds = Math.floor(within / 1000)
  const milliseconds = within - seconds * 1000
  const minutes = Math.floor(seconds / 60)
  const clock = `${TWO_DIGITS[Math.floor(minutes / 60)]}:${TWO_DIGITS[minutes % 60]}:${TWO_DIGITS[seconds % 60]}`
  return `${lastDay.text} ${clock}.${String(milliseconds).padStart(3, '0')}`
}

export const dateTime2Text =
  (scale: number): DateText =>
  (value) => {
    const iso = value.toISOString()
    return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction(value, iso, scale)}`
  }

export const timeText =
  (scale: number): DateText =>
  (value) => {
    const iso = value.toISOString()
    return `${iso.slice(11, 19)}${fraction(value, iso, scale)}`
  }

/** `.1234567`: three digits of milliseconds and four of what lies below, as many as the scale has. */
function fraction(value: Date, iso: string, scale: number): string {
  if (scale === 0) return ''
  const milliseconds = iso.slice(20, 23)
  if (scale <= 3) return `.${milliseconds.slice(0, scale)}`
  const below = 'nanosecondsDelta' in value ? Math.round(Number(value.nanosecondsDelta) * 1e7) : 0
  return `.${milliseconds}${String(below).padStart(4, '0')}`.slice(0, scale + 1)
}

/** Whole days from 0001-01-01 to the day that a text begins with, in the calendar that SQL Server uses for all years ("date (Transact-SQL)"). */
export function daysSinceYearOne(text: string): number {
  const [year, month, day] = [Number(text.slice(0, 4)), Number(text.slice(5, 7)), Number(text.slice(8, 10))]
  const before = year - 1
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const inYear = Math.trunc((367 * month - 362) / 12) - (month <= 2 ? 0 : leap ? 1 : 2) + day - 1
  return before * 365 + Math.trunc(before / 4) - Math.trunc(before / 100) + Math.trunc(before / 400) + inYear
}

/** Days from 0001-01-01 to 1900-01-01, from which datetime counts. */
const UNTIL_1900 = 693_595

/** The two numbers of a datetime: days since 1900 and 300ths of a second since midnight ([MS-TDS] 2.2.5.5.1.8). */
export function dateTimeParts(text: string): { readonly days: number; readonly ticks: number } {
  const [hour, minute, second] = [Number(text.slice(11, 13)), Number(text.slice(14, 16)), Number(text.slice(17, 19))]
  const milliseconds = ((hour * 60 + minute) * 60 + second) * 1000 + Number(text.slice(20, 23))
  return { days: daysSinceYearOne(text) - UNTIL_1900, ticks: Math.round((milliseconds * 3) / 10) }
}
