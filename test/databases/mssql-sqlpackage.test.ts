import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { mssqlNative } from '../../src/databases/mssql/native.ts'
import type { NativePower, NativeWishes } from '../../src/databases/native-port.ts'
import { FakeServer, OPTIONS, PASSWORD, workIn } from './mssql-backup-server.ts'

describe('sqlpackage', () => {
  const server = new FakeServer()
  let power: NativePower
  let folder = ''
  let bin = ''
  let dropped = 0
  const drop = async (): Promise<void> => {
    dropped += 1
  }
  const work = (wishes: NativeWishes, skip: readonly string[] = []) => workIn(join(folder, 'dump'), wishes, skip)
  afterEach(() => rm(folder, { recursive: true, force: true }))

  /** Stands in for the program: keeps its arguments and the response file, and writes what an export would. */
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'migrate-mssql-native-'))
    bin = await mkdtemp(join(folder, 'x'))
    dropped = 0
    power = mssqlNative(OPTIONS, server, drop, [bin])
    const script = `#!/bin/sh
[ "$1" = /Version ] && { echo 162.1.167.1; exit 0; }
printf '%s\\n' "$@" > '${folder}/arguments'
cp "\${1#@}" '${folder}/response'
grep -q Action:Export "\${1#@}" && echo rows > '${folder}/dump/database.bacpac'
exit 0
`
    await writeFile(join(bin, 'sqlpackage'), script)
    await chmod(join(bin, 'sqlpackage'), 0o755)
  })

  it('exports and imports, its password in a file that goes with it', async () => {
    const means = await power.tools('save', {})
    expect(means).toMatchObject({ tool: 'sqlpackage 162.1.167.1', format: 'mssql-bacpac' })
    expect(means.findings.map(({ code }) => code)).toEqual(['native-not-consistent'])
    expect(await power.save(work({}, ['Sessions']))).toEqual({ consistent: false, rows: null, place: 'directory' })
    expect(await readdir(join(folder, 'dump'))).toEqual(['database.bacpac'])
    expect(await readFile(join(folder, 'arguments'), 'utf8')).toMatch(/^@\S+\/arguments\.rsp\n$/)
    const exported = (await readFile(join(folder, 'response'), 'utf8')).split('\n')
    expect(exported).toEqual(
      expect.arrayContaining([
        '/Action:Export',
        `/TargetFile:${join(folder, 'dump', 'database.bacpac')}`,
        '/SourceServerName:tcp:old.example.com,1433',
        `/SourcePassword:"${PASSWORD}"`,
        '/p:TableData=[dbo].[Orders]',
      ]),
    )
    expect(exported.join()).not.toContain('Sessions')
    await power.restore(work({ format: 'mssql-bacpac', savedBy: means.tool ?? '' }))
    expect(dropped).toBe(1)
    expect(await readFile(join(folder, 'response'), 'utf8')).toContain('/Action:Import\n/SourceFile:')
    expect((await readdir(tmpdir())).filter((name) => name.startsWith('migrate-sqlpackage-'))).toEqual([])
  })

  it('is refused a password that its response file can’t hold', async () => {
    power = mssqlNative({ ...OPTIONS, password: new Secret('a"b') }, server, async () => undefined, [bin])
    expect(await power.tools('save', {})).toMatchObject({ tool: null, reason: expect.stringContaining('quotation mark') })
  })
})
