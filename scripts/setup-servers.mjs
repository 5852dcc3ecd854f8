// Brings in the servers that the tests run against: as root on Debian or Ubuntu they are installed, elsewhere it is said what to
// install. No service is started and no database cluster made: the tests start private ones and stop them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What the suites look for (any of `files`), the Debian package that has it, and what it is for. */
const SERVERS = [
  { name: 'sshd', package: 'openssh-server', files: ['/usr/sbin/sshd'] },
  { name: 'sftp-server', package: 'openssh-sftp-server', files: ['/usr/lib/openssh/sftp-server'] },
  {
    name: 'PostgreSQL',
    package: 'postgresql',
    files: [15, 16, 17, 18, 14, 13].map((n) => `/usr/lib/postgresql/${n}/bin/postgres`),
  },
  { name: 'MariaDB', package: 'mariadb-server', files: ['/usr/sbin/mariadbd'] },
  { name: 'BIND', package: 'bind9', files: ['/usr/sbin/named'] },
  { name: 'dig', package: 'bind9-dnsutils', files: ['/usr/bin/dig'] },
  { name: 'OpenSSL', package: 'openssl', files: ['/usr/bin/openssl'] },
  { name: 'Knot', package: 'knot', files: ['/usr/sbin/knotd'] },
  { name: 'Unbound', package: 'unbound', files: ['/usr/sbin/unbound'] },
  { name: 'Pebble', package: 'pebble', files: ['/usr/bin/pebble'] },
  { name: 'PHP', package: 'php-cli', files: ['/usr/bin/php'] },
]
const FOR_BENCH = [
  { name: 'rclone', package: 'rclone', files: ['/usr/bin/rclone'] },
  { name: 'lftp', package: 'lftp', files: ['/usr/bin/lftp'] },
  { name: 'rsync', package: 'rsync', files: ['/usr/bin/rsync'] },
  { name: 'pgcopydb', package: 'pgcopydb', files: ['/usr/bin/pgcopydb'] },
  { name: 'MariaDB', package: 'mariadb-server', files: ['/usr/sbin/mariadbd'] },
  { name: 'mydumper', package: 'mydumper', files: ['/usr/bin/mydumper'] },
  { name: 'freebcp', package: 'freetds-bin', files: ['/usr/bin/freebcp'] },
]

/**
 * FTP servers, of which Debian installs only one at a time: their packages are unpacked beside the tests, with the libraries that they need, and
 * nothing of them is installed.
 */
const UNPACKED = {
  folder: fileURLToPath(new URL('../node_modules/.cache/ftp-servers/', import.meta.url)),
  packages: [
    ...['proftpd-core', 'proftpd-mod-crypto', 'vsftpd', 'pure-ftpd'],
    ...['libhiredis0.14', 'libmemcached11', 'libmemcachedutil2', 'libhashkit2', 'libpcre2-posix3', 'libwrap0', 'libsodium23'],
  ],
  files: ['proftpd', 'vsftpd', 'pure-ftpd'].map((name) => `usr/sbin/${name}`),
}

const POLICY = '/usr/sbin/policy-rc.d'
const NO_CLUSTER = '/etc/postgresql-common/createcluster.d/migrate-tests.conf'

/** Installs what is missing, or prints one line for each server that can't be installed from here. Never fails. */
export function setUpServers({ bench = false } = {}) {
  unpack()
  const missing = [...SERVERS, ...(bench ? FOR_BENCH : [])].filter((server) => !server.files.some((file) => existsSync(file)))
  if (missing.length === 0) return
  if (onDebian() && process.getuid?.() === 0) install(missing)
  for (const server of missing.filter((each) => !each.files.some((file) => existsSync(file)))) {
    process.stderr.write(`${server.name} is not installed: its suites are skipped. ${howTo(server)}\n`)
  }
}

function unpack() {
  const { folder, packages, files } = UNPACKED
  if (files.every((file) => existsSync(join(folder, file)))) return
  if (!onDebian()) {
    process.stderr.write('FTP servers (proftpd, vsftpd, pure-ftpd) are unpacked on Debian alone: their suites are skipped.\n')
    return
  }
  process.stderr.write(`Unpacking servers for the tests: ${packages.join(', ')}…\n`)
  mkdirSync(folder, { recursive: true })
  const download = () => ask('/usr/bin/apt-get', ['-q', 'download', ...packages], folder)
  let failure = download()
  if (failure !== '' && process.getuid?.() === 0) failure = aptGet('update', []) + download()
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.deb')))
    failure += ask('/usr/bin/dpkg', ['-x', file, '.'], folder)
  if (failure !== '') process.stderr.write(`The FTP servers could not be unpacked: their suites are skipped.\n${failure}\n`)
}

/** '' when it went well, else what the program said. */
function ask(program, args, cwd) {
  const result = spawnSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  return result.status === 0 ? '' : `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`.trim()
}

const howTo = (server) =>
  onDebian() ? `Install it with: sudo apt-get install ${server.package}` : `(On Debian: package ${server.package}.)`

function onDebian() {
  if (!existsSync('/usr/bin/apt-get') || !existsSync('/etc/os-release')) return false
  return /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'))
}

function install(missing) {
  const packages = missing.map((server) => server.package)
  process.stderr.write(`Installing servers for the tests: ${packages.join(', ')}…\n`)
  withoutSideEffects(() => {
    const failure = aptGet('install', packages) === '' ? '' : aptGet('update', []) + aptGet('install', packages)
    if (failure !== '') process.stderr.write(`apt-get could not install all of them:\n${failure}\n`)
  })
}

/** While apt works, a policy forbids it to start services, and PostgreSQL's package is told to make no cluster. */
function withoutSideEffects(work) {
  const written = []
  try {
    if (!existsSync(POLICY)) write(written, POLICY, '#!/bin/sh\nexit 101\n', 0o755)
    write(written, NO_CLUSTER, 'create_main_cluster = false\n', 0o644)
    work()
  } finally {
    for (const file of written) rmSync(file, { force: true })
  }
}

function write(written, file, content, mode) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content, { mode })
  written.push(file)
}

/** '' when it went well, else what apt said. */
function aptGet(command, packages) {
  const args = [
    '-q',
    '-y',
    '--no-install-recommends',
    '-o',
    'Dpkg::Options::=--force-confold',
    '-o',
    'DPkg::Lock::Timeout=120',
    command,
    ...packages,
  ]
  const result = spawnSync('/usr/bin/apt-get', args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  return result.status === 0 ? '' : `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`.trim()
}
