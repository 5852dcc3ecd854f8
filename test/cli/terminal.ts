import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import { builtEnvironment, builtProgram } from '../built-program.ts'

/** Why no terminal can be lent to a program here (util-linux's `script` does); `null` when one can. For the titles of skipped suites. */
export const terminalMissing: string | null = existsSync('/usr/bin/script') ? null : 'script of util-linux is not installed'

/** Within that of a test, so that a question that was missed is told. */
const PATIENCE_MS = 120_000

export const KEYS = { enter: '\r', down: '\u001b[B', interrupt: '\u0003' } as const

/** The real command in a terminal of its own, 100 columns by 30 rows. */
export interface Terminal {
  /** All that was shown so far, without colours and movements. */
  readonly text: string
  /** Resolves once `text` is shown, after what an earlier call waited for; rejects when the command ends without it, or it doesn't come. */
  until(text: string): Promise<void>
  press(...keys: readonly string[]): void
  readonly exit: Promise<number | null>
}

const alive = new Set<ChildProcess>()
export function closeTerminals(): void {
  for (const child of alive) child.kill('SIGKILL')
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

export function inTerminal(args: readonly string[], program: readonly string[] = [process.execPath, builtProgram()]): Terminal {
  const command = `stty cols 100 rows 30; exec ${[...program, ...args].map(quoted).join(' ')}`
  const child = spawn('/usr/bin/script', ['-qfec', command, '/dev/null'], {
    env: { ...builtEnvironment(), TERM: 'xterm-256color', SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  alive.add(child)
  const waiting = new Set<() => void>()
  const shown = { text: '', seen: 0, over: false }
  child.stdout.on('data', (chunk: Buffer) => {
    shown.text += stripVTControlCharacters(chunk.toString())
    for (const wake of waiting) wake()
  })
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve)).then((code) => {
    alive.delete(child)
    shown.over = true
    for (const wake of waiting) wake()
    return code
  })
  return {
    get text() {
      return shown.text
    },
    exit,
    press: (...keys) => {
      for (const key of keys) child.stdin.write(key)
    },
    until: (wanted) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`It doesn't show "${wanted}":\n${shown.text}`)), PATIENCE_MS)
        const look = (): void => {
          const at = shown.text.indexOf(wanted, shown.seen)
          if (at < 0 && !shown.over) return
          waiting.delete(look)
          clearTimeout(late)
          shown.seen = at + wanted.length
          if (at >= 0) resolve()
          else reject(new Error(`It ended without "${wanted}":\n${shown.text}`))
        }
        waiting.add(look)
        look()
      }),
  }
}
