import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { messageOf } from '../base/errors.ts'

export interface SmtpServer {
  /** A name or an address. */
  readonly host: string
  readonly port: number
}

export interface SmtpGreeting {
  /** `ready`: it greets with 220. `refused`: it answers with something else. `unreachable`: no connection, or silence. */
  readonly state: 'ready' | 'refused' | 'unreachable'
  /** The server's first line, or why there is none. */
  readonly said: string
  /** Whether it can encrypt; `null` when that wasn't learnt. */
  readonly encrypts: boolean | null
}

const SUBMISSIONS_PORT = 465
const LONGEST_ANSWER = 16 * 1024

/** Greets an SMTP server from this machine (RFC 5321, 4.1.1.1) and leaves again; nothing is sent. Throws only for the signal. */
export async function greet(server: SmtpServer, timeoutMs: number, signal: AbortSignal): Promise<SmtpGreeting> {
  const socket = open(server)
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
  const onAbort = (): void => void socket.destroy()
  signal.addEventListener('abort', onAbort)
  try {
    const lines = linesOf(socket)
    const banner = await answerOf(lines)
    if (!banner.startsWith('220')) return { state: 'refused', said: firstLine(banner), encrypts: null }
    socket.write('EHLO [127.0.0.1]\r\n')
    const extensions = await answerOf(lines)
    socket.end('QUIT\r\n')
    const encrypts = server.port === SUBMISSIONS_PORT || /^250[ -]STARTTLS\s*$/im.test(extensions)
    return { state: 'ready', said: firstLine(banner), encrypts }
  } catch (error) {
    signal.throwIfAborted()
    return { state: 'unreachable', said: messageOf(error), encrypts: null }
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
  }
}

const open = ({ host, port }: SmtpServer): Socket =>
  // Who it is doesn't matter here: nothing is sent to it.
  port === SUBMISSIONS_PORT ? connectTls({ host, port, rejectUnauthorized: false }) : connect({ host, port })

const firstLine = (text: string): string => (text.split(/\r?\n/)[0] ?? '').slice(0, 200)

async function* linesOf(socket: Socket): AsyncGenerator<string> {
  let text = ''
  for await (const chunk of socket) {
    text += String(chunk)
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end).replace(/\r$/, '')
      text = text.slice(end + 1)
    }
    if (text.length > LONGEST_ANSWER) break
  }
}

/** One answer, its lines `250-…` up to `250 …` (RFC 5321, 4.2.1). */
async function answerOf(lines: AsyncGenerator<string>): Promise<string> {
  let answer = ''
  while (answer.length < LONGEST_ANSWER) {
    const { value, done } = await lines.next()
    if (done === true) throw new Error(answer === '' ? 'the connection was closed without a word' : 'the answer was cut off')
    answer += `${value}\n`
    if (!/^\d{3}-/.test(value)) return answer
  }
  throw new Error('the answer has no end')
}

const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/

/**
 * The same as a command for the shell of another host: prints the server's first line, exits 0 when there was one. Needs bash,
 * which opens connections by itself (Bash manual, "Redirections", /dev/tcp). `undefined` for what is no host name.
 */
export function greetingCommand({ host, port }: SmtpServer, timeoutSeconds: number): string | undefined {
  if (!HOST_NAME.test(host) && isIP(host) === 0) return undefined
  const script = `exec 3<>/dev/tcp/${host}/${port} && IFS= read -r -t ${timeoutSeconds} line <&3 && printf "QUIT\\r\\n" >&3 && printf "%s\\n" "$line"`
  return `timeout ${timeoutSeconds + 2} bash -c '${script}'`
}

/** What that command's result says. */
export function greetingFrom({
  exit,
  stdout,
  stderr,
}: {
  exit: number
  stdout: string
  stderr: string
}): SmtpGreeting | 'no-bash' {
  // 127: the command isn't there (POSIX, 2.8.2).
  if (exit === 127) return 'no-bash'
  const said = firstLine(stdout.trim())
  if (exit !== 0) return { state: 'unreachable', said: exit === 124 ? 'no answer' : firstLine(stderr.trim()), encrypts: null }
  return { state: said.startsWith('220') ? 'ready' : 'refused', said, encrypts: null }
}
