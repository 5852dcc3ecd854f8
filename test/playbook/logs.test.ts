import { describe, expect, it } from 'vitest'
import { parsePlaybook } from '../../src/playbook/parse.ts'
import { small } from './shop.ts'

describe('access logs in the playbook', () => {
  it('finds access logs below the files’ folder, and elsewhere on the same server by a way in of their own', () => {
    const logs = (written: string) =>
      parsePlaybook(
        small(`site: https://a.b`).replace('old: {}', `old:\n  files: sftp://site@old.example.com/site\n  logs: ${written}`),
        'p.yml',
        {},
      ).old.logs
    expect(logs('logs/u_ex*.log')).toEqual([
      { written: 'logs/u_ex*.log', files: undefined, folder: 'logs', pattern: 'u_ex*.log' },
    ])
    const elsewhere = logs('[/var/log/nginx/access.log, ~/logs/shop, access.log]')
    expect(elsewhere.map(({ files, folder, pattern }) => [files?.root, folder, pattern])).toEqual([
      ['/var/log/nginx', '', 'access.log'],
      ['~/logs', '', 'shop'],
      [undefined, '', 'access.log'],
    ])
    expect(elsewhere[0]?.files).toMatchObject({ protocol: 'sftp', host: 'old.example.com', user: 'site' })
  })
})
