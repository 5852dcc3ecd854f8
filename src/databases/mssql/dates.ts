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

export const dateTimeText: DateText = (value) => {
  const iso = value.toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}`
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
