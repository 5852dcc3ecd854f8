import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { oldNode } from './old-node.ts'
import { closeTerminals, inTerminal, KEYS, terminalMissing } from './terminal.ts'

const BIN = fileURLToPath(new URL('../../bin/migrate.js', import.meta.url))

/** In the place of the Node that comes along: says what it hears, and ends as it is told. */
const SUCCESSOR = `#!${process.execPath}
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'])
  process.on(signal, () => {
    console.log(signal)
    if (signal === 'SIGTERM') process.exit(7)
  })
console.log(process.ppid, 'handed over to', process.pid, 'with', ...process.argv.slice(3), '.')
setInterval(() => undefined, 60_000)
`

let folder: string
let program: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'migrate-hand-over-'))
  program = join(folder, 'bin', 'migrate.js')
  const successor = join(folder, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  for (const path of [program, successor]) await mkdir(join(path, '..'), { recursive: true })
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await copyFile(BIN, program)
  await writeFile(successor, SUCCESSOR)
  await chmod(successor, 0o755)
})
afterAll(async () => {
  closeTerminals()
  await rm(folder, { recursive: true, force: true })
})

const signalsIn = (text: string): readonly string[] => text.match(/SIG[A-Z]+/g) ?? []

describe.skipIf(oldNode === undefined)(
  'a Node that is too old, with a newer one that came along (needs an old Node beside this one)',
  () => {
    const began = () => {
      const child = spawn(oldNode ?? '', [program, 'run', 'shop.yml'], { stdio: ['ignore', 'pipe', 'inherit'] })
      const said = { text: '' }
      child.stdout.on('data', (chunk: Buffer) => {
        said.text += chunk.toString()
      })
      const until = async (wanted: string): Promise<void> => {
        while (!said.text.includes(wanted)) await once(child.stdout, 'data')
      }
      return { child, until, said, ended: once(child, 'close') }
    }

    it.each(['SIGINT', 'SIGHUP'] as const)('hands on arguments, a %s that it alone got, and the exit code', async (signal) => {
      const { child, until, said, ended } = began()
      await until('with run shop.yml .')
      child.kill(signal)
      await until(signal)
      child.kill('SIGTERM')
      expect(await ended).toEqual([7, null])
      expect(signalsIn(said.text)).toEqual([signal, 'SIGTERM'])
    })

    it('ends by the signal that ended the newer one', async () => {
      const { until, said, ended } = began()
      await until('.')
      process.kill(Number(/handed over to (\d+)/.exec(said.text)?.[1]), 'SIGKILL')
      expect(await ended).toEqual([null, 'SIGKILL'])
    })

    it.skipIf(terminalMissing !== null).each(['SIGINT', 'SIGHUP'] as const)(
      `leaves a %s to the terminal, which gives it to both: twice would mean "stop at once"${terminalMissing === null ? '' : ` (skipped: ${terminalMissing})`}`,
      async (signal) => {
        const terminal = inTerminal(['run', 'shop.yml'], [oldNode ?? '', program])
        await terminal.until('handed over')
        // What closing a terminal does: all that run in it hear of it.
        const group = Number(/(\d+) handed over/.exec(terminal.text)?.[1])
        if (signal === 'SIGINT') terminal.press(KEYS.interrupt)
        else process.kill(-group, signal)
        await terminal.until(signal)
        process.kill(group, 'SIGTERM')
        expect(await terminal.exit).toBe(7)
        expect(signalsIn(terminal.text)).toEqual([signal, 'SIGTERM'])
      },
    )
  },
)
