import { describe, expect, it } from 'vitest'
import { nameFrom } from '../../src/files/raw-names.ts'
import { receiveAnswers } from '../../src/files/sftp/answers.ts'

const uint32 = (...numbers: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * numbers.length)
  for (const [index, number] of numbers.entries()) bytes.writeUInt32BE(number, 4 * index)
  return bytes
}
const text = (bytes: Buffer): Buffer => Buffer.concat([uint32(bytes.length), bytes])
/** An answer of draft-ietf-secsh-filexfer-02, section 7. */
const answer = (type: number, id: number, ...rest: readonly Buffer[]): Buffer => {
  const body = Buffer.concat([Buffer.from([type]), uint32(id), ...rest])
  return Buffer.concat([uint32(body.length), body])
}
const OK = answer(101, 1, uint32(0), text(Buffer.from('fine')), text(Buffer.alloc(0)))
const content = (id: number, bytes: Buffer): Buffer => answer(103, id, text(bytes))
/** One name, with a long form as given, and without attributes. */
const names = (id: number, name: Buffer, long: Buffer): Buffer => answer(104, id, uint32(1), text(name), text(long), uint32(0))

const RAW = Buffer.from([0x67, 0x72, 0xf6, 0xdf, 0x65])
const [FIRST, SECOND] = [Buffer.from('the first content'), Buffer.from('and the second')]

/** What a session was handed and its readers got, of answers that come in these pieces. */
function received(pieces: readonly Buffer[]) {
  const [handed, got]: [Buffer[], (readonly [number, string])[]] = [[], []]
  const reading = (id: number) => ({
    buffer: Buffer.alloc(64),
    cb: (_error: undefined, into: Buffer, count: number) => void got.push([id, into.toString('utf8', 0, count)]),
  })
  const session = {
    push: (bytes: Buffer | null) => void (bytes !== null && handed.push(Buffer.from(bytes))),
    _requests: { 1: { cb: () => undefined }, 2: reading(2), 3: reading(3) },
  }
  receiveAnswers(session)
  for (const piece of pieces) session.push(piece)
  return { handed: Buffer.concat(handed), got, left: Object.keys(session._requests) }
}

describe('what an SFTP server answers', () => {
  const all = Buffer.concat([
    OK,
    content(3, FIRST),
    names(4, RAW, Buffer.from('-rw-r--r-- gr\xf6\xdfe', 'latin1')),
    content(2, SECOND),
    content(9, Buffer.from('nobody asked for this')),
    OK,
  ])
  const handed = Buffer.concat([
    OK,
    names(4, Buffer.from(nameFrom(RAW)), Buffer.alloc(0)),
    content(9, Buffer.from('nobody asked for this')),
    OK,
  ])
  const whole = {
    handed,
    got: [
      [3, FIRST.toString()],
      [2, SECOND.toString()],
    ],
    left: ['1'],
  }

  it('is the same wherever it is cut: contents go to their readers, names keep their bytes, the rest is handed on', () => {
    expect(received([all])).toEqual(whole)
    for (let first = 0; first <= all.length; first += 1)
      for (const second of [first, first + 1, first + 7, all.length])
        expect(received([all.subarray(0, first), all.subarray(first, second), all.subarray(second)])).toEqual(whole)
    expect(received([...all].map((byte) => Buffer.from([byte])))).toEqual(whole)
  })

  it('to a request that ssh2 doesn’t know goes to whom it is for, wherever it is cut', () => {
    const reply = answer(201, 5, Buffer.from('a hash'))
    for (let cut = 0; cut <= reply.length; cut += 1) {
      const got: string[] = []
      const pieces: Buffer[] = []
      const own = { isOwn: true, cb: (_error: undefined, bytes: Buffer) => void got.push(bytes.toString()) }
      const session = { push: (bytes: Buffer) => void pieces.push(bytes), _requests: { 5: own, 6: { cb: () => undefined } } }
      receiveAnswers(session)
      for (const piece of [reply.subarray(0, cut), reply.subarray(cut), answer(201, 6)]) session.push(piece)
      expect(got).toEqual(['a hash'])
      expect(Buffer.concat(pieces)).toEqual(answer(201, 6))
      expect(Object.keys(session._requests)).toEqual(['6'])
    }
  })

  it('and isn’t as the protocol has it is handed on as it came', () => {
    const tooLong = content(2, Buffer.alloc(65))
    const cutShort = answer(104, 4, uint32(1), uint32(1000), Buffer.from('a name that ends after its packet'))
    for (const odd of [tooLong, cutShort, answer(103, 2, uint32(5)), answer(104, 4)])
      expect(received([odd, OK])).toEqual({ handed: Buffer.concat([odd, OK]), got: [], left: ['1', '2', '3'] })
  })
})
