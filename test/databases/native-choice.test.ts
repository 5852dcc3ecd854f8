import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { optionFile } from '../../src/databases/mysql/native-argv.ts'
import { chooseProgram, serverOf } from '../../src/databases/mysql/native-choice.ts'
import { findPrograms, type Program, versionIn } from '../../src/databases/native/programs.ts'
import { dumpArguments, libpqEnvironment } from '../../src/databases/postgres/native-argv.ts'
import { chooseDump, chooseRestore } from '../../src/databases/postgres/native-choice.ts'
import { installedPrograms } from '../../src/databases/postgres/native-programs.ts'
import { countDumpedRows, dataFiles, restoreList } from '../../src/databases/postgres/native-toc.ts'

const program = (name: string, words: string): Program => ({ name, path: `/bin/${name}`, version: versionIn(words), words })
const dump = (release: string) => program('pg_dump', `pg_dump (PostgreSQL) ${release}`)
const back = (release: string) => program('pg_restore', `pg_restore (PostgreSQL) ${release}`)

describe('an installed program', () => {
  /** A program that notes in `asked` each time it is run. */
  const noting = async (folder: string, name: string): Promise<void> => {
    await writeFile(join(folder, name), `#!/bin/sh\necho ${name} >> '${join(folder, 'asked')}'\necho '${name} 1.2'\n`, {
      mode: 0o755,
    })
  }
  const asked = (folder: string): Promise<string> => readFile(join(folder, 'asked'), 'utf8').catch(() => '')
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'migrate-programs-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('is asked once for its version, though several folders lead to it', async () => {
    await noting(folder, 'dumper')
    await mkdir(join(folder, 'other'))
    await symlink(folder, join(folder, 'same'))
    await symlink(join(folder, 'dumper'), join(folder, 'other', 'dumper'))
    const found = await findPrograms('dumper', [folder, join(folder, 'same'), join(folder, 'other')])
    expect(found).toMatchObject([{ path: join(folder, 'dumper'), version: [1, 2] }])
    expect(await asked(folder)).toBe('dumper\n')
  })

  it('is not Debian’s wrapper, which only stands for one of those that are found by themselves', async () => {
    await noting(folder, 'pg_wrapper')
    await symlink('pg_wrapper', join(folder, 'pg_dump'))
    await noting(folder, 'pg_restore')
    vi.stubEnv('PATH', folder)
    expect((await installedPrograms('pg_dump')).filter(({ path }) => path.startsWith(folder))).toEqual([])
    expect((await installedPrograms('pg_restore')).filter(({ path }) => path.startsWith(folder))).toHaveLength(1)
    expect(await asked(folder)).toBe('pg_restore\n')
  })
})

describe('which pg_dump and pg_restore', () => {
  it('is the oldest that is no older than the server', () => {
    const chosen = chooseDump([dump('17.1'), dump('14.9'), dump('15.18')], [back('15.18')], 15, {})
    expect([chosen.program?.version, chosen.reason]).toEqual([[15, 18], 'pg_dump 15.18 is installed here, and the server is 15'])
  })

  it.each([
    [[], [], "pg_dump isn't installed here (postgresql-client-16 on Debian)"],
    [[dump('15.18')], [back('15.18')], 'pg_dump 15.18 is older than the server, 16'],
    [[dump('16.2')], [], "pg_restore isn't installed here (postgresql-client on Debian)"],
    [[dump('16.2')], [back('15.18')], 'pg_restore 15.18 is older than the pg_dump 16.2 that saved the snapshot'],
  ])('is none, and says why (%#)', (dumps, restores, reason) => {
    expect(chooseDump(dumps, restores, 16, {})).toMatchObject({ program: undefined, reason })
  })

  it('warns of one that is newer than the new server', () => {
    const wishes = { format: 'pg_dump-directory', savedBy: 'pg_dump 15.18' }
    expect(chooseRestore([back('17.1')], 15, wishes).findings).toMatchObject([{ severity: 'warning', code: 'native-tool-newer' }])
    expect(chooseRestore([back('17.1'), back('15.2')], 15, wishes).findings).toEqual([])
    expect(chooseRestore([back('17.1')], 15, { format: 'mysql-sql' }).reason).toContain('reads no mysql-sql')
  })

  it('is told everything but the password by arguments that name no one else’s table', () => {
    const args = dumpArguments('/run/dump', 2, [{ schema: 'odd."x', name: 'a*b' }])
    expect(args).toContain('--exclude-table-data="odd.""x"."a*b"')
    expect(args).toContain('--exclude-table="public"."migrate_marks"')
    const environment = libpqEnvironment(
      {
        host: 'h',
        port: 1,
        user: 'u',
        password: new Secret('p'),
        database: 'd',
        connections: 1,
        label: 'l',
        ca: '/ca.pem',
        sslmode: 'require',
      },
      'migrate',
    )
    expect(environment).toMatchObject({
      PGPASSWORD: 'p',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: '/ca.pem',
      PGAPPNAME: 'migrate',
    })
  })
})

describe('an archive’s table of contents', () => {
  const LIST = `;
; Archive created at 2026-11-20 07:00:00 UTC
6; 2615 16385 SCHEMA - sales shop
5; 2615 2200 SCHEMA - public pg_database_owner
3400; 0 0 COMMENT - EXTENSION citext 
2; 3079 16386 EXTENSION - citext 
215; 1259 16389 TABLE public orders shop
3401; 0 0 ACL public TABLE orders shop
3394; 0 16389 TABLE DATA public orders shop
3395; 0 16400 TABLE DATA public orders old shop
3402; 6104 1 PUBLICATION - everything shop
3403; 3466 2 EVENT TRIGGER - watch postgres
`

  it('is restored without grants, what belongs to a superuser, and schemas that stand there', () => {
    expect(
      restoreList(LIST, new Set(['public']))
        .trim()
        .split('\n'),
    ).toEqual([
      '6; 2615 16385 SCHEMA - sales shop',
      '2; 3079 16386 EXTENSION - citext ',
      '215; 1259 16389 TABLE public orders shop',
      '3394; 0 16389 TABLE DATA public orders shop',
      '3395; 0 16400 TABLE DATA public orders old shop',
    ])
  })

  it('names each table’s file, also where one name begins another’s, and none when it can’t be told', () => {
    const names = ['orders', 'orders old'].map((name) => ({ schema: 'public', name }))
    expect(dataFiles(LIST, names)).toEqual(
      new Map([
        ['public.orders', '3394.dat'],
        ['public.orders old', '3395.dat'],
      ]),
    )
    expect(dataFiles(LIST, names.slice(0, 1))).toBeUndefined()
  })

  it('has rows that are counted to the end, or are no rows at all', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'migrate-toc-'))
    try {
      await writeFile(join(folder, '1.dat'), 'a\t1\n\\\\.\t2\n\\N\t3\n\\.\n\n\n')
      await writeFile(join(folder, '2.dat'), '\\.\n\n\n')
      await writeFile(join(folder, '3.dat'), 'a\t1\nb')
      const count = (file: string) => countDumpedRows(folder, file, new AbortController().signal)
      expect([await count('1.dat'), await count('2.dat')]).toEqual([3, 0])
      await expect(count('3.dat')).rejects.toMatchObject({ code: 'native-tool-failed' })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('which mariadb-dump or mysqldump', () => {
  const mariadb = program('mariadb-dump', 'mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)')
  const mysql = program('mysqldump', 'mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)')

  it('is the server’s own, of its release or newer', () => {
    const server = serverOf('5.5.5-10.11.6-MariaDB-log')
    expect(server).toEqual({ family: 'mariadb', version: [10, 11, 6] })
    expect(chooseProgram([mysql, mariadb], server, {}, 'mariadb-dump').program).toBe(mariadb)
    expect(chooseProgram([mysql, mariadb], serverOf('8.0.36'), {}, 'mysqldump').program).toBe(mysql)
    expect(chooseProgram([mariadb], serverOf('8.0.36'), {}, 'mysqldump').reason).toMatch(
      /is MariaDB's; the MySQL 8.0 server needs/,
    )
    expect(chooseProgram([mariadb], serverOf('11.4.2-MariaDB'), {}, 'mariadb-dump').reason).toContain(
      'older than the server, 11.4',
    )
    expect(chooseProgram([], server, {}, 'mariadb-dump').reason).toContain("isn't installed here")
  })

  it('logs in by a file that says what each family understands', () => {
    const options = { host: 'h', port: 3306, user: 'u', password: new Secret('a"b\\c'), database: 'd', label: 'l' } as const
    expect(optionFile(options, 'mariadb')).toContain('password="a\\"b\\\\c"')
    expect(optionFile({ ...options, sslmode: 'verify-full', ca: '/ca.pem' }, 'mysql')).toMatch(
      /ssl-mode=VERIFY_IDENTITY\nssl-ca="\/ca.pem"/,
    )
    expect(optionFile({ ...options, sslmode: 'disable' }, 'mariadb')).toContain('skip-ssl\n')
  })
})
