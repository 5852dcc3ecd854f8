// Runs a command of this repository with a Node that is new enough, after bringing in what the repository needs.
//
//     node scripts/with-node.mjs node bin/migrate.js demo
//     node scripts/with-node.mjs tsc -p .
//
// This file alone must run on the Node that a machine happens to have: plain JavaScript, Node 18 or later.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const NEEDED = [22, 18]

await install()
const node = newEnoughNode()
run(node, process.argv.slice(2))

/** One at a time: `npm ci` takes away what another one, begun in a second terminal, has just brought in. */
async function install() {
  if (installed()) return
  const lock = join(root, '.installing')
  for (let told = false; !taken(lock); told = true) {
    if (!told) process.stderr.write('Another command is installing what migrate needs; waiting for it…\n')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  }
  const release = () => rmSync(lock, { force: true })
  process.once('exit', release)
  await bringIn()
  process.off('exit', release)
  release()
}

/** Whether this process holds the lock now: a file with its number. One that was killed holds none. */
function taken(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    if (!isRunning(holderOf(lock))) rmSync(lock, { force: true })
    return false
  }
}

/** 0, which is this process's own group, when it has just let go or hasn't written its number yet. */
function holderOf(lock) {
  try {
    return Number(readFileSync(lock, 'utf8'))
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return 0
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** `npm ci`, when what is installed isn't what the lock file says. */
async function bringIn() {
  if (installed()) return
  const viaNpm = basename(process.env.npm_execpath ?? '') === 'npm-cli.js'
  const [command, ...first] = viaNpm ? [process.execPath, process.env.npm_execpath] : ['npm']
  // Install scripts are left out on purpose: none is needed, and a stale native add-on makes ssh2 fall back silently.
  const args = [...first, 'ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund']
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32' && !viaNpm,
  })
  let words = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (words += text))
  const told = tellTime('Installing what migrate needs (about a minute)…')
  const problem = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code) => resolve(code === 0 ? null : ''))
  })
  told()
  if (problem === null) return
  process.stderr.write(`${words}${problem}\n`)
  stop('`npm ci` failed; its own words are above. Mend that (most often it is the network) and run the command again.')
}

/** Says what is being done and, at a terminal, for how long: an old machine or a slow line takes minutes. Returns what ends the line. */
function tellTime(what) {
  const { isTTY } = process.stderr
  const begun = Date.now()
  const tell = () => process.stderr.write(isTTY ? `\r${what} ${Math.round((Date.now() - begun) / 1000)} s` : what)
  tell()
  const timer = isTTY ? setInterval(tell, 1000) : undefined
  return () => {
    clearInterval(timer)
    process.stderr.write('\n')
  }
}

/** Whether every package of the lock file is there in its version. Optional ones may be missing: they are for other platforms. */
function installed() {
  const wanted = packagesOf(join(root, 'package-lock.json'))
  const present = packagesOf(join(root, 'node_modules', '.package-lock.json'))
  if (wanted === undefined || present === undefined) return false
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    const found = present[path]
    return found === undefined ? entry.optional === true && !neededHere(path) : found.version === entry.version
  })
}

function neededHere(path) {
  return path === `node_modules/node-${process.platform}-${process.arch}`
}

function packagesOf(lockFile) {
  if (!existsSync(lockFile)) return undefined
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages
}

/** The Node that the repository brings along, else the one running this file; whichever works and is new enough. */
function newEnoughNode() {
  const brought = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  const found = [brought, process.execPath].find((candidate) => existsSync(candidate) && isNewEnough(versionOf(candidate)))
  if (found !== undefined) return found
  return stop(
    `migrate needs Node ${NEEDED.join('.')} or later; this is ${process.version}. Install a newer Node from https://nodejs.org.`,
  )
}

function versionOf(candidate) {
  if (candidate === process.execPath) return process.version
  return spawnSync(candidate, ['--version'], { encoding: 'utf8' }).stdout ?? ''
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.trim().replace(/^v/, '').split('.').map(Number)
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])
}

function run(nodePath, [name, ...args]) {
  if (name === undefined) stop('Usage: node scripts/with-node.mjs COMMAND [ARGUMENT…]')
  const path = [dirname(nodePath), join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter)
  const command = name === 'node' ? nodePath : join(root, 'node_modules', '.bin', name)
  const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, PATH: path } })
  passSignalsOn(child)
  child.on('error', (error) => stop(`${name} did not start: ${error.message}`))
  child.on('exit', (code, signal) => {
    if (signal !== null) process.removeAllListeners(signal)
    if (signal !== null) process.kill(process.pid, signal)
    else process.exitCode = code ?? 1
  })
}

/** A terminal gives Ctrl-C to the whole group itself; giving it twice would mean "stop at once, no safe point". */
function passSignalsOn(child) {
  const atTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)
  let interrupted = atTerminal
  process.on('SIGINT', () => {
    if (!interrupted) child.kill('SIGINT')
    interrupted = true
  })
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
}

function stop(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
