import { describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import { failureOf } from '../contract/database-kit.ts'
import type { MysqlAccount, TestMysql, TestMysqlDatabase } from '../servers/mysql.ts'
import { isMariadb, isRelease, READ_ROUTINES } from '../servers/mysql-programs.ts'

/** Rights that come to light only when rows are carried, or when something runs as the account. */
export function mysqlRights(
  server: () => TestMysql,
  open: (made: TestMysqlDatabase, change?: { readonly account?: MysqlAccount }) => Database,
): void {
  it('tells a reader which GRANT it lacks', async () => {
    const made = await server().database()
    await made.rootSql(`CREATE TABLE seen (a int PRIMARY KEY); CREATE PROCEDURE p() SELECT 1;
      CREATE USER 'few'@'%' IDENTIFIED BY 'few'; GRANT SELECT, EXECUTE ON ${made.name}.* TO 'few'@'%';
      CREATE USER 'blind'@'%' IDENTIFIED BY 'blind'; GRANT SELECT ON ${made.name}.seen TO 'blind'@'%'`)
    const hints = async (user: string, purpose: 'read' | 'write'): Promise<string> =>
      (await open(made, { account: { user, password: user } }).missingRights(purpose)).map((each) => each.hint).join('\n')
    const routines = isRelease('mariadb', 11, 3) ? `SHOW CREATE ROUTINE ON \`${made.name}\`.*` : READ_ROUTINES
    expect(await hints('few', 'read')).toBe(
      ['SHOW VIEW', 'TRIGGER', 'EVENT']
        .map((right) => `As an account that may grant it, run: GRANT ${right} ON \`${made.name}\`.* TO 'few'@'%';`)
        .join('\n'),
    )
    expect(await hints('blind', 'read')).toContain(`GRANT SELECT ON \`${made.name}\`.* TO 'blind'@'%';`)
    expect(await hints('blind', 'read')).toContain(`GRANT ${routines} TO 'blind'@'%';`)
    expect(await hints('few', 'write')).toContain(`GRANT CREATE ROUTINE ON \`${made.name}\`.* TO 'few'@'%';`)
    const { findings } = await open(made, { account: { user: 'few', password: 'few' } }).schema()
    expect(findings).toContainEqual(expect.objectContaining({ severity: 'error', code: 'definition-hidden' }))
    await made.rootSql("DROP USER 'few'@'%', 'blind'@'%'")
  })

  describe('a trigger that runs as another account', () => {
    it('is named to whoever may not make it silent, with the GRANT that lets him', async () => {
      const made = await server().database()
      await made.sql('CREATE TABLE orders (id int PRIMARY KEY, total int)')
      await made.rootSql('CREATE TRIGGER theirs BEFORE INSERT ON orders FOR EACH ROW SET NEW.total = 0')
      const database = open(made)
      const [lacking, ...others] = await database.missingRights('write')
      expect(others).toEqual([])
      expect(lacking).toMatchObject({ severity: 'error', message: expect.stringContaining('theirs (admin@%)') })
      const [orders] = (await database.schema()).tables
      if (orders === undefined) throw new Error('no table')
      const carry = (by: Database) => by.transaction([orders], (transaction) => transaction.insert(orders, [['1', '5']]))
      expect((await failureOf(carry(database))).code).toBe('database-permission-denied')
      const triggers = () =>
        made.sql(
          'SELECT TRIGGER_NAME, DEFINER, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()',
        )
      expect(await triggers(), 'it stands as it was').toEqual([['theirs', 'admin@%', 'SET NEW.total = 0']])

      const grant = /GRANT [^;]+;/.exec(lacking?.hint ?? '')?.[0] ?? ''
      if (isRelease('mysql', 8, 0)) {
        // Whether the other is an administrator, only one who may read that can be told.
        await server().rootSql(grant.replace(', SYSTEM_USER', ''))
        expect(await open(made).missingRights('write')).toMatchObject([
          { severity: 'warning', hint: expect.stringContaining('GRANT SYSTEM_USER ON *.*') },
        ])
        expect((await failureOf(carry(open(made)))).code).toBe('database-permission-denied')
        expect(await triggers(), 'it stands as it was').toEqual([['theirs', 'admin@%', 'SET NEW.total = 0']])
        const account = { user: `sees_${made.name}`, password: 'secret' }
        await server().rootSql(`CREATE USER '${account.user}'@'%' IDENTIFIED BY 'secret'; GRANT ALL ON \`${made.name}\`.* TO '${account.user}'@'%';
          GRANT SET_ANY_DEFINER ON *.* TO '${account.user}'@'%'; GRANT SELECT ON mysql.* TO '${account.user}'@'%'`)
        expect(await open(made, { account }).missingRights('write')).toMatchObject([{ severity: 'error' }])
      }
      await server().rootSql(grant)
      const next = open(made)
      expect(await next.missingRights('write')).toEqual([])
      await carry(next)
      expect(await made.sql('SELECT * FROM orders')).toEqual([['1', '5']])
    })
  })

  describe.skipIf(!isMariadb)('an account of the new host that may do all by a role', () => {
    it('is told that views on views and programs, which run as it, may do nothing by that', async () => {
      const [from, to] = [await server().database(), await server().database('new')]
      await from.sql(
        'CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW one AS SELECT id FROM t; CREATE VIEW two AS SELECT id FROM one',
      )
      const account = { user: `of_role_${to.name}`, password: 'secret-of-the-role' }
      await server().rootSql(`CREATE ROLE mover_${to.name}; GRANT ALL ON \`${to.name}\`.* TO mover_${to.name};
        CREATE USER '${account.user}'@'%' IDENTIFIED BY '${account.password}'; GRANT mover_${to.name} TO '${account.user}'@'%';
        SET DEFAULT ROLE mover_${to.name} FOR '${account.user}'@'%'`)
      const schema = await open(from).schema()
      const database = open(to, { account })
      expect(await database.missingRights('write')).toEqual([])
      const create = async (by: Database): Promise<void> => {
        for (const { name, sql } of by.ddl(schema)) await by.execute(sql, { run: 'r', name })
      }
      expect((await failureOf(create(database))).message).toContain('lack rights')
      const lacking = (await database.unmet?.(schema)) ?? []
      expect(lacking).toMatchObject([{ severity: 'error', message: expect.stringContaining('view one, view two') }])

      await server().rootSql(/GRANT [^;]+;/.exec(lacking[0]?.hint ?? '')?.[0] ?? '')
      const next = open(to, { account })
      expect(await next.unmet?.(schema)).toEqual([])
      await create(next)
      expect(await to.sql('SELECT id FROM two')).toEqual([])
    })
  })
}
