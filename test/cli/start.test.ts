import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Writes down every module that is loaded. */
const WATCH = `
import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
registerHooks({
  load(url, context, next) {
    appendFileSync(process.env.LOADED, url + '\\n')
    return next(url, context)
  },
})`

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'migrate-start-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What a command loads: folders and files of ours below src, and names of packages. */
function loadedBy(command: string, playbook: string): { readonly exit: number | null; readonly loaded: readonly string[] } {
  const [file, list] = [join(folder, 'shop.yml'), join(folder, 'loaded')]
  writeFileSync(file, playbook)
  writeFileSync(list, '')
  const { status } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(WATCH)}`, join(ROOT, 'bin/migrate.js'), command, file],
    { cwd: folder, env: { PATH: process.env.PATH ?? '', XDG_CACHE_HOME: folder, LOADED: list }, encoding: 'utf8' },
  )
  const names = readFileSync(list, 'utf8')
    .split('\n')
    .flatMap((url) => {
      const own = url.split(`file://${ROOT}src/`)[1]
      const [, scope, other] = /.*\/node_modules\/(@[^/]+\/[^/]+)?([^/]+)?/.exec(url) ?? []
      return own ?? scope ?? other ?? []
    })
  return { exit: status, loaded: [...new Set(names)].sort() }
}

describe('a command loads what it needs and no more', () => {
  test('status: no step, no host, no engine', () => {
    // When
    const { exit, loaded } = loadedBy('status', 'name: mugs\nold: { files: /a }\nnew: { files: /b }\n')
    // Then
    expect(exit).toBe(0)
    expect(loaded.filter((name) => !name.includes('.ts'))).toEqual(['commander', 'yaml', 'zod'])
    expect(loaded.filter((name) => /^(databases|dns|files\/\w+\/|mail|reconcile|report|site)\b/.test(name))).toEqual([])
    expect(loaded.filter((name) => name.startsWith('steps/'))).toEqual(['steps/options.ts'])
  })

  test('check: of the hosts and engines those that the playbook names', () => {
    // Given
    const playbook = `name: mugs\nold: { files: ${folder} }\nnew: { files: ${folder} }\nsteps: [check, snapshot-files, restore-files]\n`
    // When
    const { loaded } = loadedBy('check', playbook)
    // Then
    expect(loaded).toContain('files/local.ts')
    expect(loaded.filter((name) => /^(databases\/(mssql|mysql|postgres)|files\/(ftp|sftp))\//.test(name))).toEqual([])
    expect(
      loaded.filter((name) => /^(ssh2|basic-ftp|pg|mysql2|tedious|undici|cloudflare|acme-client|nodemailer)/.test(name)),
    ).toEqual([])
  })
})
