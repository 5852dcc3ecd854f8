import { type Request, TYPES } from 'tedious'
import { exactFloat } from './bulk-types.ts'

/** NULL among bytes: one of text would make text of the bytes beside it in VALUES, and is refused for a column of bytes (error 257). */
export const NULL_BYTES = Symbol('NULL of varbinary')

/**
 * A parameter: text as nvarchar, bytes as varbinary, which the server converts and the driver never does; a number as float, as the eight
 * bytes that it has here and there, since what the server reads from a text need not be the nearest number.
 */
export type Parameter = string | number | Buffer | null | typeof NULL_BYTES

/** A value of unlimited length that is sent as it comes, never whole; of a text its UTF-16, lowest byte first. */
export interface Streamed {
  readonly kind: 'text' | 'binary'
  readonly pieces: AsyncIterable<Buffer>
}

/** Longest text that isn't sent as nvarchar(max). */
const SHORT_TEXT = 4000
const SHORT_BYTES = 8000

/** Gives a request parameters @p0, @p1, … that are read one after the other while it is sent. */
export function bindStreamed(request: Request, parameters: readonly Streamed[]): void {
  for (const [index, { kind, pieces }] of parameters.entries()) {
    if (kind === 'binary') request.addParameter(`p${index}`, TYPES.VarBinary, pieces)
    else request.addParameter(`p${index}`, TYPES.NVarChar, texts(pieces))
  }
}

async function* texts(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  for await (const piece of pieces) yield piece.toString('utf16le')
}

/** Gives a request its parameters @p0, @p1, … */
export function bind(request: Request, parameters: readonly Parameter[]): void {
  for (const [index, parameter] of parameters.entries()) {
    if (typeof parameter === 'number') {
      request.addParameter(`p${index}`, exactFloat, parameter)
      continue
    }
    const bytes = Buffer.isBuffer(parameter) || parameter === NULL_BYTES
    const value = parameter === NULL_BYTES ? null : parameter
    const most = bytes ? SHORT_BYTES : SHORT_TEXT
    const length = value === null || value.length <= most ? most : Number.POSITIVE_INFINITY
    request.addParameter(`p${index}`, bytes ? TYPES.VarBinary : TYPES.NVarChar, value, { length })
  }
}
