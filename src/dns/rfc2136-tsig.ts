import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../base/secret.ts'
import { CLASSES, decodeName, encodeName, encodeRecord, type Message, TYPES } from './rfc2136-wire.ts'

/** Hash algorithms of RFC 8945, 6, by their names there. HMAC-MD5 must not be used any more and isn't offered. */
const ALGORITHMS = {
  'hmac-sha1': 'sha1',
  'hmac-sha224': 'sha224',
  'hmac-sha256': 'sha256',
  'hmac-sha384': 'sha384',
  'hmac-sha512': 'sha512',
} as const

export interface TsigKey {
  readonly name: string
  readonly algorithm: keyof typeof ALGORITHMS
  /** Base64, as tsig-keygen and keymgr write it. */
  readonly secret: Secret
}

/** Seconds by which the clocks may differ (RFC 8945, 10, recommends 300). */
export const FUDGE_SECONDS = 300
const ADDITIONAL_COUNT_OFFSET = 10

/** A signed message, and what is needed to verify the answer to it. */
export interface Signed {
  readonly bytes: Buffer
  readonly mac: Buffer
}

/** Signs a request (RFC 8945, 5.1). `nowMs`: milliseconds since 1970. */
export function sign(message: Buffer, key: TsigKey, nowMs: number): Signed {
  const time = time48(Math.floor(nowMs / 1000))
  const mac = digest(key, [message, variables(key, time, 0, Buffer.alloc(0))])
  const data = Buffer.concat([
    encodeName(key.algorithm),
    time,
    uint16(FUDGE_SECONDS),
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  ])
  const record = encodeRecord({ name: key.name, type: TYPES.TSIG, class: CLASSES.ANY, ttl: 0, data })
  return { bytes: withAdditionals(Buffer.concat([message, record]), 1), mac }
}

/**
 * What an answer's TSIG amounts to. `verified`: signed with our key, over this very answer to this very request. `error` is the
 * server's TSIG error, 0 when there is none; an answer that says BADKEY or BADSIG can't be signed (RFC 8945, 5.3.2).
 */
export interface TsigVerdict {
  readonly verified: boolean
  readonly error: number
  /** Seconds since 1970 by the server's clock, when it says BADTIME. */
  readonly serverTime: number | null
}

const TIME_BYTES = 6
const NOT_SIGNED: TsigVerdict = { verified: false, error: 0, serverTime: null }

/** Verifies an answer (RFC 8945, 5.3). Throws RangeError when the TSIG record makes no sense. */
export function verify(bytes: Buffer, message: Message, key: TsigKey, requestMac: Buffer, nowMs: number): TsigVerdict {
  const record = message.additionals.at(-1)
  if (record === undefined || record.type !== TYPES.TSIG) return NOT_SIGNED
  const { name: algorithm, end } = decodeName(bytes, record.dataStart)
  const time = bytes.subarray(end, end + TIME_BYTES)
  const fudge = bytes.readUInt16BE(end + 6)
  const macSize = bytes.readUInt16BE(end + 8)
  const mac = bytes.subarray(end + 10, end + 10 + macSize)
  const after = end + 10 + macSize
  const [originalId, error, otherSize] = [0, 2, 4].map((offset) => bytes.readUInt16BE(after + offset))
  const other = bytes.subarray(after + 6, after + 6 + (otherSize ?? 0))
  const serverTime = other.length === TIME_BYTES ? readTime48(other) : null
  const claims = { error: error ?? 0, serverTime }
  if (record.name !== key.name || algorithm !== key.algorithm) return { verified: false, ...claims }
  const unsigned = withAdditionals(bytes.subarray(0, record.start), -1)
  unsigned.writeUInt16BE(originalId ?? 0, 0)
  const expected = digest(key, [
    uint16(requestMac.length),
    requestMac,
    unsigned,
    variables(key, time, claims.error, other, fudge),
  ])
  // Never a shortened one: it wasn't asked for, and a short one is guessed the sooner (RFC 8945, 5.2.2.1).
  const genuine = mac.length === expected.length && timingSafeEqual(mac, expected)
  const inTime = Math.abs(Math.floor(nowMs / 1000) - readTime48(time)) <= fudge
  return { verified: genuine && inTime, ...claims }
}

const digest = (key: TsigKey, parts: readonly Buffer[]): Buffer => {
  const hmac = createHmac(ALGORITHMS[key.algorithm], Buffer.from(key.secret.reveal(), 'base64'))
  for (const part of parts) hmac.update(part)
  return hmac.digest()
}

/** RFC 8945, 4.3.3. */
const variables = (key: TsigKey, time: Buffer, error: number, other: Buffer, fudge = FUDGE_SECONDS): Buffer =>
  Buffer.concat([
    encodeName(key.name),
    uint16(CLASSES.ANY),
    Buffer.alloc(4),
    encodeName(key.algorithm),
    time,
    uint16(fudge),
    uint16(error),
    uint16(other.length),
    other,
  ])

function withAdditionals(message: Buffer, more: number): Buffer {
  const copy = Buffer.from(message)
  copy.writeUInt16BE(copy.readUInt16BE(ADDITIONAL_COUNT_OFFSET) + more, ADDITIONAL_COUNT_OFFSET)
  return copy
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

function time48(seconds: number): Buffer {
  const bytes = Buffer.alloc(TIME_BYTES)
  bytes.writeUIntBE(seconds, 0, TIME_BYTES)
  return bytes
}

const readTime48 = (bytes: Buffer): number => bytes.readUIntBE(0, TIME_BYTES)
