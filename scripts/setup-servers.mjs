// Brings in the servers that the tests run against: as root on Debian or Ubuntu they are installed, elsewhere it is said what to
// install. No service is started and no database cluster made: the tests start private ones and stop them.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

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
  { name: 'Unbound', package: 'unbound', files: ['/usr/sbin/unbound'] },
]
const FOR_BENCH = [
  { name: 'rclone', package: 'rclone', files: ['/usr/bin/rclone'] },
  { name: 'pgcopydb', package: 'pgcopydb', files: ['/usr/bin/pgcopydb'] },
  { name: 'MariaDB', package: 'mariadb-server', files: ['/usr/sbin/mariadbd'] },
  { name: 'mydumper', package: 'mydumper', files: ['/usr/bin/mydumper'] },
  { name: 'freebcp', package: 'freetds-bin', files: ['/usr/bin/freebcp'] },
]

const POLICY = '/usr/sbin/policy-rc.d'
const NO_CLUSTER = '/etc/postgresql-common/createcluster.d/migrate-tests.conf'

/** Installs what is missing, or prints one line for each server that can't be installed from here. Never fails. */
export function setUpServers({ bench = false } = {}) {
  const missing = [...SERVERS, ...(bench ? FOR_BENCH : [])].filter((server) => !server.files.some((file) => existsSync(file)))
  if (missing.length === 0) return
  if (onDebian() && process.getuid?.() === 0) install(missing)
  for (const server of missing.filter((each) => !each.files.some((file) => existsSync(file)))) {
    process.stderr.write(`${server.name} is not installed: its suites are skipped. ${howTo(server)}\n`)
  }
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
