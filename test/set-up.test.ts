import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

/** Notes when it begins and ends, and waits in between until it is told to go on. */
const NPM = `const { appendFileSync, existsSync, mkdirSync, writeFileSync } = require('node:fs')
appendFileSync('log', 'begin ')
while (!existsSync('go-on')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
mkdirSync('node_modules', { recursive: true })
writeFileSync('node_modules/.package-lock.json', '{"packages":{}}')
appendFileSync('log', 'end ')`

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'migrate-set-up-'))
  mkdirSync(join(root, 'scripts'))
  copyFileSync('scripts/with-node.mjs', join(root, 'scripts/with-node.mjs'))
  writeFileSync(join(root, 'package-lock.json'), '{"packages":{}}')
  writeFileSync(join(root, 'npm-cli.js'), NPM)
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function command() {
  const script = join(root, 'scripts/with-node.mjs')
  const child = spawn(process.execPath, [script, 'node', '-e', 'console.log("ran")'], {
    cwd: root,
    env: { ...process.env, npm_execpath: join(root, 'npm-cli.js') },
  })
  const ended = Promise.all([text(child.stdout), once(child, 'close')]).then(([output]) => output)
  return { child, ended }
}
const goOn = (): void => writeFileSync(join(root, 'go-on'), '')
const log = (): string => readFileSync(join(root, 'log'), 'utf8')

describe('the set-up of a fresh clone', () => {
  it('is done once by two commands that begin together, the second of which waits', async () => {
    const both = [command(), command()]
    await new Promise<void>((resolve) => {
      for (const { child } of both)
        child.stderr.on('data', (words) => {
          if (String(words).includes('waiting for it')) resolve()
        })
    })
    goOn()
    expect(await Promise.all(both.map(({ ended }) => ended))).toEqual(['ran\n', 'ran\n'])
    expect(log()).toBe('begin end ')
  })

  it('is done anew after a command that was killed in the middle of it', async () => {
    const first = command()
    await once(first.child.stderr, 'data')
    first.child.kill('SIGKILL')
    goOn()
    await first.ended
    expect(await command().ended).toBe('ran\n')
    expect(log()).toContain('end ')
  })

  it('ends with what npm itself said where that fails', async () => {
    writeFileSync(join(root, 'npm-cli.js'), "console.error('npm error network down'); process.exitCode = 1")
    const { child, ended } = command()
    const words = text(child.stderr)
    expect(await ended).toBe('')
    expect(child.exitCode).toBe(1)
    expect(await words).toMatch(
      /^Installing what migrate needs.*\nnpm error network down\n\n`npm ci` failed; its own words are above\./,
    )
  })
})
