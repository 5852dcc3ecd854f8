#!/usr/bin/env node
// Plain JavaScript that an old Node can read too: it hands over to the Node that was installed with migrate, or says what is missing.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as module from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  const brought = nodeBroughtAlong()
  if (brought !== undefined) handOver(brought)
  else {
    process.stderr.write(
      `migrate needs Node 22.18 or newer; this is ${process.version}. Install a newer one from https://nodejs.org and try again.\n`,
    )
    process.exitCode = 2
  }
} else {
  // Compiled code kept between starts takes 0.5 s off each; in a folder of this user's own, since it is run as it lies there.
  module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'migrate'))
  // A checkout runs its sources, an installed package what was built of them.
  const source = new URL('../src/cli/main.ts', import.meta.url)
  const program = existsSync(source) ? source : new URL('../dist/cli/main.js', import.meta.url)
  import(program.href).then(({ main }) => main(process.argv.slice(2))).then((code) => process.exit(code))
}

/** The optional dependency `node-PLATFORM-ARCH`: below this package, or beside it. */
function nodeBroughtAlong() {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const path = [`node-${process.platform}-${process.arch}`, 'bin', 'node']
  return [join(root, 'node_modules', ...path), join(root, '..', ...path)].find((candidate) => existsSync(candidate))
}

function handOver(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  // A terminal gives Ctrl-C to both, and when it is closed the hang-up; twice would mean "stop at once".
  const atTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)
  for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => void (atTerminal || child.kill(signal)))
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('error', (error) => {
    process.stderr.write(
      `${node} did not start: ${error.message}. Install Node 22.18 or newer from https://nodejs.org and try again.\n`,
    )
    process.exitCode = 2
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exitCode = code ?? 1
    else {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    }
  })
}
