import { describe, expect, it } from 'vitest'
import { giveBack, Lender, lookAt } from '../../src/files/lent.ts'

describe('memory for pieces of contents', () => {
  it('is used again when it was given back, and only then', () => {
    const lender = new Lender(1024, 8)
    const [first, second] = [lender.lend(1024), lender.lend(1024)]
    expect(second.buffer).not.toBe(first.buffer)
    giveBack(first)
    const third = lender.lend(700)
    expect(third.buffer).toBe(first.buffer)
    expect(third.length).toBe(700)
    giveBack(third)
    expect(lender.lend(1024).buffer).toBe(first.buffer)
  })

  it('is given back once, however often it is said, and never through a part of a piece', () => {
    const lender = new Lender(1024, 8)
    const piece = lender.lend(1024)
    giveBack(piece.subarray(0, 100))
    expect(lender.lend(1024).buffer).not.toBe(piece.buffer)
    giveBack(piece)
    giveBack(piece)
    const [next, other] = [lender.lend(1024), lender.lend(1024)]
    expect(next.buffer).toBe(piece.buffer)
    expect(other.buffer).not.toBe(piece.buffer)
  })

  it('is not used again while somebody still looks at it, whoever gives it back, and however often', () => {
    const lender = new Lender(1024, 8)
    const piece = lender.lend(1024)
    const [one, other] = [lookAt(piece), lookAt(piece)]
    giveBack(piece)
    giveBack(piece)
    one.done()
    expect(lender.lend(1024).buffer).not.toBe(piece.buffer)
    other.done()
    expect(lender.lend(1024).buffer).toBe(piece.buffer)
  })

  it('that was looked at and not given back stays its reader’s', () => {
    const lender = new Lender(1024, 8)
    const piece = lender.lend(1024)
    lookAt(piece).done()
    expect(lender.lend(1024).buffer).not.toBe(piece.buffer)
  })

  it('that nobody lent is left alone, and no more lies idle than was said', () => {
    giveBack(Buffer.alloc(1024))
    const lender = new Lender(1024, 1)
    const lent = [lender.lend(1024), lender.lend(1024)]
    for (const piece of lent) giveBack(piece)
    const again = [lender.lend(1024), lender.lend(1024)]
    expect(again.filter(({ buffer }) => lent.some((piece) => piece.buffer === buffer))).toHaveLength(1)
  })

  it('isn’t bound by a piece much shorter, which would keep all of it', () => {
    const lender = new Lender(1024, 8)
    expect(lender.lend(100).buffer.byteLength).toBe(100)
    expect(lender.lend(4096).length).toBe(4096)
  })
})
