const NEGATIVE = 0x4000
const SPECIAL: Readonly<Record<number, string>> = { 49152: 'NaN', 53248: 'Infinity', 61440: '-Infinity' }

/**
 * Bytes of a `numeric` as the server prints it (src/backend/utils/adt/numeric.c, numeric_send): the number of digits to base 10,000,
 * the power of the first, the sign, the decimals shown, then the digits.
 */
export function numericText(bytes: Buffer): string {
  const [count, weight, sign, scale] = [bytes.readUInt16BE(0), bytes.readInt16BE(2), bytes.readUInt16BE(4), bytes.readUInt16BE(6)]
  const special = SPECIAL[sign]
  if (special !== undefined) return special
  const group = (power: number): string => {
    const place = weight - power
    return place < 0 || place >= count ? '0000' : String(bytes.readUInt16BE(8 + 2 * place)).padStart(4, '0')
  }
  let whole = ''
  for (let power = weight; power >= 0; power -= 1) whole += group(power)
  let fraction = ''
  for (let power = -1; fraction.length < scale; power -= 1) fraction += group(power)
  const text = `${sign === NEGATIVE ? '-' : ''}${whole.replace(/^0+(?=\d)/, '') || '0'}`
  return scale === 0 ? text : `${text}.${fraction.slice(0, scale)}`
}

/** Bytes of a `double precision`: the shortest decimal that reads back as the same number. */
export function doubleText(bytes: Buffer): string {
  const value = bytes.readDoubleBE()
  return special(value) ?? decimal(value.toExponential(), 15)
}

/** Bytes of a `real`, which the server prints with as few digits as tell it from its neighbours of single precision. */
export function realText(bytes: Buffer): string {
  const value = bytes.readFloatBE()
  const known = special(value)
  if (known !== undefined) return known
  for (let digits = 0; digits < 9; digits += 1) {
    const text = value.toExponential(digits)
    if (Math.fround(Number(text)) === value) return decimal(text, 6)
  }
  return decimal(value.toExponential(9), 6)
}

function special(value: number): string | undefined {
  if (Number.isNaN(value)) return 'NaN'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  return Number.isFinite(value) ? undefined : value > 0 ? 'Infinity' : '-Infinity'
}

/**
 * `d.ddde±x` as the server spells it: with an exponent below 1e-4 and from 10 to the power `limit` on (src/common/d2s.c and f2s.c,
 * thresholds "chosen to match printf defaults").
 */
function decimal(exponential: string, limit: number): string {
  const [, sign = '', first = '', rest = '', power = '0'] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(exponential) ?? []
  const exponent = Number(power)
  const digits = `${first}${rest}`
  if (exponent < -4 || exponent >= limit) {
    const size = String(Math.abs(exponent)).padStart(2, '0')
    return `${sign}${first}${rest === '' ? '' : `.${rest}`}e${exponent < 0 ? '-' : '+'}${size}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const fraction = digits.slice(exponent + 1)
  return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`
}
