/** A decimal number as a whole number of units of 10^-scale; nothing is rounded. */
interface Decimal {
  readonly units: bigint
  readonly scale: number
}

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/

function parse(text: string): Decimal | undefined {
  const match = DECIMAL.exec(text.trim())
  if (match === null) return undefined
  const [, sign, whole = '', fraction = '', exponent = '0'] = match
  if (whole === '' && fraction === '') return undefined
  const units = BigInt(`${whole}${fraction}`) * (sign === '-' ? -1n : 1n)
  const scale = fraction.length - Number(exponent)
  return scale >= 0 ? { units, scale } : { units: units * 10n ** BigInt(-scale), scale: 0 }
}

const unitsAt = ({ units, scale }: Decimal, wanted: number): bigint => units * 10n ** BigInt(wanted - scale)

function format(units: bigint, scale: number): string {
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0')
  const sign = units < 0n ? '-' : ''
  return scale === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/**
 * The exact sum of decimal texts, each added (`+1`) or taken away (`-1`), with as many decimals as the most exact of them; `undefined`
 * when one isn't a decimal number (NaN, infinity, a currency's sign).
 */
export function sumOf(terms: readonly (readonly [text: string, sign: 1 | -1])[]): string | undefined {
  const decimals: { readonly decimal: Decimal; readonly sign: bigint }[] = []
  for (const [text, sign] of terms) {
    const decimal = parse(text)
    if (decimal === undefined) return undefined
    decimals.push({ decimal, sign: BigInt(sign) })
  }
  const scale = Math.max(0, ...decimals.map(({ decimal }) => decimal.scale))
  return format(
    decimals.reduce((sum, { decimal, sign }) => sum + sign * unitsAt(decimal, scale), 0n),
    scale,
  )
}

/** Below 0, 0 or above 0 as `a` is less than, equal to or more than `b`; `undefined` when one isn't a decimal number. */
export function compareDecimals(a: string, b: string): number | undefined {
  const [one, other] = [parse(a), parse(b)]
  if (one === undefined || other === undefined) return undefined
  const scale = Math.max(one.scale, other.scale)
  const difference = unitsAt(one, scale) - unitsAt(other, scale)
  return difference === 0n ? 0 : difference < 0n ? -1 : 1
}

/** Adds decimal texts up one by one, exactly; NULL counts nothing. */
export class DecimalTotal {
  #units = 0n
  #scale = 0
  #isNumber = true

  add(text: string | null, sign: 1n | -1n = 1n): void {
    if (text === null) return
    const decimal = parse(text)
    if (decimal === undefined) {
      this.#isNumber = false
      return
    }
    if (decimal.scale > this.#scale) {
      this.#units *= 10n ** BigInt(decimal.scale - this.#scale)
      this.#scale = decimal.scale
    }
    this.#units += sign * unitsAt(decimal, this.#scale)
  }

  /** `undefined` when something that was added is no decimal number. */
  get text(): string | undefined {
    return this.#isNumber ? format(this.#units, this.#scale) : undefined
  }
}
