import { type Command, Option } from 'commander'
import { withFlags } from '../flags.ts'
import type { InitFlags } from '../init/init.ts'
import type { Finish, Io } from '../io.ts'

/** `migrate init`: asks, looks at both hosts, writes a playbook. */
export function addInit(program: Command, io: Io, finish: Finish): void {
  const command = program
    .command('init [playbook]')
    .description('ask, look at both hosts, and write a playbook (shop.yml)')
    .option('--name <name>', 'name of the migration')
    .option('--site <url>', 'what customers type: https://shop.example')
  for (const side of ['old', 'new'])
    command
      .option(`--${side}-files <url>`, `the ${side} host's files: sftp://user@host/path`)
      .option(`--${side}-key <path>`, `SSH key for the ${side} host`)
      .option(`--${side}-database <url>`, `the ${side} host's database: mssql://user@host/database`)
      .option(`--${side}-site <url>`, `where the ${side} host answers without DNS: https://203.0.113.10`)
  command
    .addOption(new Option('--dns <provider>', 'who publishes the zone').choices(['cloudflare', 'rfc2136', 'manual']))
    .option('--zone <name>', 'the zone, where it is not found by asking')
    .option('--dns-server <host>', 'for rfc2136: the primary name server')
    .option('--dns-key <name>', 'for rfc2136: the name of the TSIG key')
    .option('--resolver <address>', 'ask this name server, not the system’s')
  withFlags(command).action(async (playbook: string | undefined, flags: InitFlags) => {
    const { writePlaybook } = await import('../init/init.ts')
    finish(await writePlaybook(playbook ?? 'shop.yml', { io, flags }))
  })
}
