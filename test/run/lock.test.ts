import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { acquireLock, type Holder, type Lock, thisProcess } from '../../src/run/lock.ts'
import { emptyFolder } from './shelf.ts'

const held: Lock[] = []
const children: ChildProcess[] = []

afterEach(async () => {
  for (const lock of held.splice(0)) await lock.release()
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function take(directory: string, holder?: Holder): Promise<Lock> {
  const lock = await acquireLock(directory, 0, holder)
  held.push(lock)
  return lock
}

interface Contender {
  readonly child: ChildProcess
  readonly pid: number
  readonly answer: () => Promise<string>
}

async function contender(directory: string): Promise<Contender> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'lock-contender.ts'), directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await lines.next()
  return {
    child,
    pid: child.pid ?? 0,
    answer: async () => {
      child.stdin.write('go\n')
      return String((await lines.next()).value)
    },
  }
}

const kill = async ({ child }: Contender): Promise<void> => {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

const elsewhere: Holder = { pid: 7, host: 'another-machine', started: 'then' }

describe('the lock of a state directory', () => {
  it('has one holder, who is named to the others', async () => {
    const directory = await emptyFolder()
    await take(directory)

    await expect(acquireLock(directory)).rejects.toMatchObject({
      code: 'run-locked',
      message: expect.stringContaining(`process ${process.pid} on`),
      hint: expect.stringContaining('migrate status'),
    })
  })

  it('is free again once released, under a higher number', async () => {
    const directory = await emptyFolder()
    const first = await acquireLock(directory)
    await first.release()
    const second = await take(directory)

    expect(second.number).toBeGreaterThan(first.number)
    await expect(first.assertHeld()).rejects.toMatchObject({ code: 'run-lock-lost' })
    await expect(second.assertHeld()).resolves.toBeUndefined()
  })

  it('has a number beyond the journal’s', async () => {
    const lock = await acquireLock(await emptyFolder(), 41)
    held.push(lock)

    expect(lock.number).toBe(42)
  })

  it('of a process that was killed is taken over', async () => {
    const directory = await emptyFolder()
    const dead = await contender(directory)
    expect(await dead.answer()).toBe('held 1')
    await expect(acquireLock(directory)).rejects.toMatchObject({ message: expect.stringContaining(`process ${dead.pid} on`) })
    await kill(dead)

    expect((await take(directory)).number).toBe(2)
  })

  it('of a dead process is taken over by exactly one of many', async () => {
    for (let round = 0; round < 3; round += 1) {
      const directory = await emptyFolder()
      const dead = await contender(directory)
      await dead.answer()
      const others = await Promise.all(Array.from({ length: 6 }, () => contender(directory)))
      await kill(dead)

      const answers = await Promise.all(others.map((each) => each.answer()))

      const winners = answers.filter((answer) => answer.startsWith('held'))
      expect(winners.length, answers.join('\n')).toBe(1)
      expect(answers.filter((answer) => answer.startsWith('refused This run is in the hands of'))).toHaveLength(5)
      await Promise.all(others.map(kill))
    }
  })

  it('is not thought alive because another process has its number now', async () => {
    const directory = await emptyFolder()
    const self = await thisProcess()
    const reused = await acquireLock(directory, 0, { ...self, started: 'another-boot:1' })

    expect((await take(directory)).number).toBe(2)
    await expect(reused.assertHeld()).rejects.toMatchObject({ code: 'run-lock-lost' })
    await reused.release()
    await expect(held[0]?.assertHeld()).resolves.toBeUndefined()
  })

  it('of another machine is respected while it shows signs of life, and taken over a minute after the last', async () => {
    const directory = await emptyFolder()
    const other = await acquireLock(directory, 0, elsewhere)
    await expect(acquireLock(directory)).rejects.toMatchObject({
      message: expect.stringContaining('process 7 on another-machine'),
    })

    const longAgo = systemClock.now() / 1000 - 61
    await utimes(join(directory, 'lock.1'), longAgo, longAgo)

    expect((await take(directory)).number).toBe(2)
    await other.release()
  })

  it('that can’t be read belongs to nobody', async () => {
    const directory = await emptyFolder()
    await writeFile(join(directory, 'lock.3'), 'garbage')

    expect((await take(directory)).number).toBe(4)
  })

  it('leaves one file behind, and holds no secret', async () => {
    const directory = await emptyFolder()
    for (let round = 0; round < 3; round += 1) await (await acquireLock(directory)).release()

    expect(await readdir(directory)).toEqual(['lock.3'])
    expect(JSON.parse(await readFile(join(directory, 'lock.3'), 'utf8'))).toMatchObject({ pid: process.pid, released: true })
  })
})
