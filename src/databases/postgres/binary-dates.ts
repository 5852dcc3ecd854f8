/** Days from 1970-01-01 to 2000-01-01, from which the server counts. */
const EPOCH_DAYS = 10_957n
const DAY_MICROS = 86_400_000_000n
const INFINITY_DAYS = 2_147_483_647
const INFINITY_MICROS = 9_223_372_036_854_775_807n

const padded = (value: bigint, digits: number): string => value.toString().padStart(digits, '0')

/** Division towards the lower number, with its remainder. */
function divided(value: bigint, by: bigint): readonly [bigint, bigint] {
  const rest = ((value % by) + by) % by
  return [(value - rest) / by, rest]
}

/**
 * Year, month and day of a day in the proleptic Gregorian calendar, by counting in years that begin in March: 400 of them have
 * 146,097 days. The year 0 is 1 BC.
 */
function civil(daysSince2000: bigint): { readonly date: string; readonly era: string } {
  const [cycle, dayOfCycle] = divided(daysSince2000 + EPOCH_DAYS + 719_468n, 146_097n)
  const yearOfCycle = (dayOfCycle - dayOfCycle / 1460n + dayOfCycle / 36_524n - dayOfCycle / 146_096n) / 365n
  const dayOfYear = dayOfCycle - (365n * yearOfCycle + yearOfCycle / 4n - yearOfCycle / 100n)
  const monthFromMarch = (5n * dayOfYear + 2n) / 153n
  const day = dayOfYear - (153n * monthFromMarch + 2n) / 5n + 1n
  const month = monthFromMarch < 10n ? monthFromMarch + 3n : monthFromMarch - 9n
  const year = yearOfCycle + cycle * 400n + (month <= 2n ? 1n : 0n)
  const shown = year > 0n ? year : 1n - year
  return { date: `${padded(shown, 4)}-${padded(month, 2)}-${padded(day, 2)}`, era: year > 0n ? '' : ' BC' }
}

/** Seconds with as many decimals as they need. */
function clockText(micros: bigint): string {
  const [seconds, fraction] = [micros / 1_000_000n, micros % 1_000_000n]
  const decimals = fraction === 0n ? '' : `.${padded(fraction, 6).replace(/0+$/, '')}`
  return `${padded(seconds / 3600n, 2)}:${padded((seconds / 60n) % 60n, 2)}:${padded(seconds % 60n, 2)}${decimals}`
}

/** Bytes of a `date` as the server prints it in ISO style: days since 2000, the furthest ones infinite. */
export function dateText(bytes: Buffer): string {
  const days = bytes.readInt32BE()
  if (days === INFINITY_DAYS) return 'infinity'
  if (days === -INFINITY_DAYS - 1) return '-infinity'
  const { date, era } = civil(BigInt(days))
  return `${date}${era}`
}

/** Bytes of a `time`: microseconds since midnight. */
export const timeText = (bytes: Buffer): string => clockText(bytes.readBigInt64BE())

/** Bytes of a `timestamp`, or with `zone` '+00' of one with time zone, as printed in UTC: microseconds since 2000. */
export function timestampText(bytes: Buffer, zone: string): string {
  const micros = bytes.readBigInt64BE()
  if (micros === INFINITY_MICROS) return 'infinity'
  if (micros === -INFINITY_MICROS - 1n) return '-infinity'
  const [days, ofDay] = divided(micros, DAY_MICROS)
  const { date, era } = civil(days)
  return `${date} ${clockText(ofDay)}${zone}${era}`
}
