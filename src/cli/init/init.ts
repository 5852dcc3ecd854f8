import { getServers } from 'node:dns'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { type Clock, isoTime } from '../../base/clock.ts'
import { codeOf, type Finding, MigrateError, messageOf } from '../../base/errors.ts'
import { underStop } from '../../base/stop.ts'
import { resolversFor } from '../../dns/resolvers.ts'
import { type Draft, draftPlaybook } from '../../playbook/draft.ts'
import { buildWorld, parsePlaybook } from '../../playbook/index.ts'
import { variablesOf } from '../../playbook/variables.ts'
import { rewritesFor } from '../../steps/rewrite-config-forgotten.ts'
import { concluded } from '../conclusion.ts'
import { forPeople } from '../display/commands.ts'
import type { Display } from '../display/display.ts'
import type { Flags } from '../flags.ts'
import { type Session, withDisplay } from '../session.ts'
import { listenForSignals } from '../signals.ts'
import type { Asker } from './asker.ts'
import { type Given, Interview } from './interview.ts'
import type { Secrets } from './secrets.ts'

export interface InitFlags extends Flags {
  readonly name?: string
  readonly site?: string
  readonly dns?: 'cloudflare' | 'rfc2136' | 'manual'
  readonly zone?: string
  readonly dnsServer?: string
  readonly dnsKey?: string
  readonly resolver?: string
  readonly oldFiles?: string
  readonly oldDatabase?: string
  readonly oldSite?: string
  readonly oldKey?: string
  readonly newFiles?: string
  readonly newDatabase?: string
  readonly newSite?: string
  readonly newKey?: string
}

/** Asks, looks at both hosts without writing there, and writes the playbook. An existing file is never overwritten. Returns the exit code. */
export async function writePlaybook(
  file: string,
  { io, flags }: { readonly io: Session['io']; readonly flags: InitFlags },
): Promise<number> {
  return await withDisplay({ io, flags, playbook: file }, 'text', async ({ display, clock }) => {
    const started = clock.monotonic()
    if (existsSync(file)) throw exists(file)
    const canAsk = io.isTerminal && !flags.yes && !flags.json
    const given = givenBy(flags)
    if (!canAsk) mustSuffice(given)
    const asker = canAsk ? await (await import('./asker-terminal.ts')).terminalAsker(io.stdout.columns ?? 80) : undefined
    const stops = listenForSignals(display.notice, process.exit)
    try {
      const work = new Init(file, given, { io, flags, display, clock, asker, signal: stops.interrupt })
      await underStop(stops.interrupt, () => work.run())
    } finally {
      stops.dispose()
    }
    return concluded(display, clock, started)
  })
}

interface InitContext {
  readonly io: Session['io']
  readonly flags: InitFlags
  readonly display: Display
  readonly clock: Clock
  readonly asker: Asker | undefined
  readonly signal: AbortSignal
}

class Init {
  readonly #file: string
  readonly #given: Given
  readonly #context: InitContext

  constructor(file: string, given: Given, context: InitContext) {
    this.#file = file
    this.#given = given
    this.#context = context
  }

  async run(): Promise<void> {
    const { io, clock, asker, signal, flags } = this.#context
    const [resolver] = resolversFor([flags.resolver ?? systemServer()], clock)
    if (resolver === undefined) throw new Error('one address gives one resolver')
    const options = { file: this.#file, given: this.#given, env: io.env, clock, resolver, signal, tell: this.#tell }
    const interview = new Interview(asker === undefined ? options : { ...options, asker })
    const draft = await interview.draft()
    const text = draftPlaybook({ ...draft, rewrites: await this.#rewrites(draft, interview.secrets) })
    // Whatever the answers were: what is written can be read.
    parsePlaybook(text, this.#file, interview.secrets.environmentFor(text))
    await writeFile(this.#file, text, { flag: 'wx' }).catch((error: unknown) => {
      throw codeOf(error) === 'EEXIST' ? exists(this.#file) : unwritable(this.#file, error)
    })
    this.#conclude(text)
  }

  readonly #tell = (finding: Finding): void => {
    const { clock, display, asker, flags } = this.#context
    const { severity, code, message, hint } = finding
    const words = `${severity === 'info' ? '' : `${severity}: `}${message}${hint === undefined ? '' : `\n→ ${hint}`}`
    asker?.say(forPeople(this.#file, flags)(words))
    // What asks for something goes to where it is seen though the output is kept for later.
    const isAside = severity !== 'info' && !flags.json
    if (asker === undefined && isAside) display.notice(words)
    display.tell(
      { time: isoTime(clock.now()), run: null, step: null, event: 'finding', severity, code, message, hint },
      asker === undefined && !isAside ? words : '',
    )
  }

  /** The shop's own config that names the old host. What can't be looked at now is said by `check`. */
  async #rewrites(draft: Draft, secrets: Secrets): Promise<readonly string[]> {
    const { clock, signal } = this.#context
    const text = draftPlaybook(draft)
    if (draft.old.files === undefined || draft.new.files === undefined || !secrets.isComplete(JSON.stringify(draft.old.files)))
      return []
    const world = await buildWorld(parsePlaybook(text, this.#file, secrets.environmentFor(text)), { clock })
    try {
      const found = await rewritesFor(world, { signal })
      for (const { file } of found)
        this.#tell({ severity: 'info', code: 'seen', message: `${file} names the old host: rewrite-config changes it` })
      return found.map(({ item }) => item)
    } catch (error) {
      if (!(error instanceof MigrateError)) throw error
      this.#tell({
        severity: 'warning',
        code: error.code,
        message: `The shop's config was not looked at: ${error.message}`,
        hint: error.hint,
      })
      return []
    } finally {
      await world.close()
    }
  }

  #conclude(text: string): void {
    const { clock, display, io } = this.#context
    const variables = variablesOf(text)
    const missing = variables.filter((name) => io.env[name] === undefined)
    const lines = [
      `Wrote ${this.#file}. No password is in it.`,
      ...(missing.length === 0
        ? []
        : ['Set what it takes from the environment:', ...missing.map((name) => `  export ${name}='…'`)]),
      'Then:',
      '  migrate check PLAYBOOK',
      '  migrate run PLAYBOOK --dry-run',
    ]
    display.tell(
      { time: isoTime(clock.now()), run: null, step: null, event: 'written', playbook: this.#file, variables },
      lines.join('\n'),
    )
  }
}

/** The first name server that this machine asks. */
const systemServer = (): string => getServers()[0] ?? '127.0.0.1'

const givenBy = (flags: InitFlags): Given => ({
  ...pick({ name: flags.name, site: flags.site, zone: flags.zone, dnsServer: flags.dnsServer, dnsKey: flags.dnsKey }),
  ...(flags.dns === undefined ? {} : { dns: flags.dns }),
  old: pick({ files: flags.oldFiles, database: flags.oldDatabase, site: flags.oldSite, key: flags.oldKey }),
  new: pick({ files: flags.newFiles, database: flags.newDatabase, site: flags.newSite, key: flags.newKey }),
})

const pick = (values: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])))

function mustSuffice(given: Given): void {
  const hosts = (['old', 'new'] as const).filter((side) => given[side].files === undefined && given[side].database === undefined)
  const missing = [
    ...(given.site === undefined ? ['--site'] : []),
    ...hosts.map((side) => `--${side}-files or --${side}-database`),
  ]
  if (missing.length === 0) return
  throw new MigrateError(
    'init-needs-answers',
    `migrate init asks, and nobody is here to answer: ${missing.join(', ')} missing.`,
    {
      ending: 'waiting',
      hint: 'Run it in a terminal, or give the answers as options: migrate init --help.',
    },
  )
}

const exists = (file: string): MigrateError =>
  new MigrateError('playbook-exists', `${file} is there already. It was left as it is.`, {
    ending: 'usage',
    hint: 'Name another file, or move that one away.',
  })

const unwritable = (file: string, cause: unknown): MigrateError =>
  new MigrateError('playbook-unwritable', `${file} can't be written: ${messageOf(cause)}`, {
    ending: 'usage',
    hint: 'Check the path and its permissions.',
    cause,
  })
