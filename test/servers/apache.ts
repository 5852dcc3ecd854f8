import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort, untilListening } from './ports.ts'

const [APACHE, MODULES, PHP_CGI] = ['/usr/sbin/apache2', '/usr/lib/apache2/modules', '/usr/bin/php-cgi']

/** Why the real servers can't be had here; `null` when they can. For the titles of skipped suites. */
export const apacheMissing: string | null = existsSync(APACHE) ? null : 'apache2 is not installed'
export const phpCgiMissing: string | null = /^curl$/m.test(spawnSync(PHP_CGI, ['-m'], { encoding: 'utf8' }).stdout ?? '')
  ? null
  : 'php-cgi with curl is not installed'

export interface Apache {
  readonly url: URL
  stop(): Promise<void>
}

const USED =
  'mpm_prefork authn_core authz_core access_compat alias dir env mime rewrite headers setenvif proxy proxy_http actions cgi'

/** Debian's Apache for one test, on a free port, with a shared host's rights for .htaccess; PHP by CGI where it is installed. */
export async function startApache(root: string, address: string): Promise<Apache> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-apache-'))
  chmodSync(folder, 0o755)
  const port = await freePort(address)
  const log = join(folder, 'error.log')
  const settings = [
    ...USED.split(' ').flatMap((name) =>
      existsSync(join(MODULES, `mod_${name}.so`)) ? [`LoadModule ${name}_module ${join(MODULES, `mod_${name}.so`)}`] : [],
    ),
    `Listen ${address}:${port}`,
    `ServerRoot ${folder}`,
    'ServerName localhost',
    `PidFile ${join(folder, 'pid')}`,
    `ErrorLog ${log}`,
    `DefaultRuntimeDir ${folder}`,
    'TypesConfig /dev/null',
    ...(userInfo().uid === 0 ? ['User www-data', 'Group www-data'] : []),
    ...['StartServers 4', 'MinSpareServers 2', 'MaxRequestWorkers 20'],
    `DocumentRoot ${root}`,
    `<Directory ${root}>`,
    '  AllowOverride All',
    '  Options FollowSymLinks',
    '  DirectoryIndex index.php index.html',
    '  Require all granted',
    '</Directory>',
    'ScriptAlias /php-bin/ /usr/bin/',
    '<Directory /usr/bin>',
    '  <Files php-cgi>',
    '    Require all granted',
    '  </Files>',
    '</Directory>',
    'AddHandler relay-php .php',
    'Action relay-php /php-bin/php-cgi',
  ]
  writeFileSync(join(folder, 'apache.conf'), `${settings.join('\n')}\n`)
  const child = spawn(APACHE, ['-f', join(folder, 'apache.conf'), '-DFOREGROUND'], {
    stdio: 'ignore',
    // It ends its whole process group when it is told to end.
    detached: true,
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const said = (): string => (existsSync(log) ? readFileSync(log, 'utf8') : '')
  await untilListening(address, port, () => (child.exitCode === null ? undefined : said()))
  return {
    url: new URL(`http://${address}:${port}`),
    stop: async () => {
      child.kill('SIGTERM')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
