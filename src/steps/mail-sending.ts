import type { Finding } from '../base/errors.ts'
import type { Lookup } from '../mail/lookup.ts'
import { greet, greetingCommand, greetingFrom, type SmtpGreeting, type SmtpServer } from '../mail/smtp.ts'
import type { StepRun } from '../run/step.ts'
import type { MailTarget, World } from './world.ts'

const TIMEOUT_SECONDS = 10
const SMTP_PORT = 25

interface Greeted extends SmtpGreeting {
  readonly from: string
}

/**
 * Whether the new host gets its mails out: the server named by `via`, else, as a sample of the world, the one that takes the
 * domain's own mail. Asked on the new host itself where there is a shell; a server named by `via` from here otherwise.
 */
export async function sendingFindings(
  { new: target }: World,
  mail: MailTarget,
  lookup: Lookup,
  run: StepRun,
): Promise<readonly Finding[]> {
  const server = mail.via ?? (await receiverOf(mail, lookup))
  if (server === undefined) return []
  const command = greetingCommand(server, TIMEOUT_SECONDS)
  if (target.shell !== undefined && command !== undefined) {
    const result = greetingFrom(await target.shell.run(command, run.signal))
    if (result !== 'no-bash') return findingsOf(server, mail, { ...result, from: 'the new host' })
  }
  if (mail.via === undefined) return mail.isGiven ? [unseen(target.shell === undefined)] : []
  return findingsOf(server, mail, { ...(await greet(server, TIMEOUT_SECONDS * 1000, run.signal)), from: 'this machine' })
}

/** The first server for the domain's own mail, unless that is the sender itself. */
async function receiverOf(mail: MailTarget, lookup: Lookup): Promise<SmtpServer | undefined> {
  const { values } = await lookup(mail.from.slice(mail.from.lastIndexOf('@') + 1).toLowerCase(), 'MX')
  const hosts = values
    .map((text) => text.split(' '))
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, host = '']) => host)
  const host = hosts.find((name) => name !== '' && name !== '.')
  if (host === undefined) return undefined
  const own = (await lookup(host, 'A')).values.some((address) => mail.addresses.includes(address))
  return own ? undefined : { host, port: SMTP_PORT }
}

const unseen = (withoutShell: boolean): Finding => ({
  severity: 'info',
  code: 'mail-way-out-unseen',
  message: `Whether the new host may send mails out (port ${SMTP_PORT}) can’t be tried: ${withoutShell ? 'it gives no shell' : 'its shell has no bash'}.`,
  hint: 'Many hosts block it for new accounts: ask, or send through a mail service and name it: mail: { via: smtp.example.com:587 }.',
})

function findingsOf({ host, port }: SmtpServer, mail: MailTarget, greeting: Greeted): readonly Finding[] {
  const where = `${host}:${port}`
  const { state, said, encrypts, from } = greeting
  if (state === 'ready') {
    if (encrypts !== false || mail.via === undefined) return []
    return [
      {
        severity: 'warning',
        code: 'mail-not-encrypted',
        message: `${where} takes mails without encryption: customers’ addresses and the password go over the net in the clear.`,
        hint: 'Use port 465, or 587 with STARTTLS.',
      },
    ]
  }
  const what = state === 'refused' ? `answers ${from} with "${said}"` : `can’t be reached from ${from} (${said})`
  const blocked =
    mail.via === undefined
      ? 'The host may block port 25 for new accounts: ask it to open it, or send through a mail service: '
      : ''
  return [
    {
      severity: 'warning',
      code: `mail-server-${state}`,
      message: `The mail server ${where} ${what}: order confirmations would not go out.`,
      hint:
        blocked === ''
          ? 'Look at the name, the port and the firewall of the new host.'
          : `${blocked}mail: { via: smtp.example.com:587 }.`,
    },
  ]
}
