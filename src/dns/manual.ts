import type { Clock } from '../base/clock.ts'
import { MigrateError, messageOf } from '../base/errors.ts'
import { canonicalContent, canonicalName } from './names.ts'
import type { DnsProvider, DnsRecord, RecordChange, Resolver } from './port.ts'
import { outstanding } from './standing.ts'

export interface ManualOptions {
  readonly zone: string
  readonly authoritative: () => Promise<readonly Resolver[]>
  readonly clock: Clock
  /** Between two looks while waiting, milliseconds. */
  readonly everyMs?: number
}

const EVERY_MS = 5000
const TYPES = ['A', 'AAAA', 'CNAME'] as const

/**
 * A person publishes the zone, in a registrar's form. What stands is what the zone's own name servers say; `apply` waits until
 * every one of them says it.
 */
export function manualProvider({ zone, authoritative, clock, everyMs = EVERY_MS }: ManualOptions): DnsProvider {
  const zoneName = canonicalName(zone)
  const readAll = async (names: readonly string[], signal?: AbortSignal): Promise<readonly View[]> => {
    const servers = await authoritative()
    const views = await Promise.all(servers.map((server) => viewOf(server, names, signal)))
    const answered = views.filter((view) => view !== undefined)
    if (answered.length > 0) return answered
    throw new MigrateError(
      'dns-unreachable',
      `None of the name servers of ${zoneName} answered (${servers.map((server) => server.label).join(', ')}).`,
      {
        hint: 'Check the network here (UDP and TCP port 53 must be open) and dns.nameservers in the playbook, then run again.',
        retrySafe: true,
      },
    )
  }
  return {
    label: `${zoneName}, changed by hand`,
    manual: true,
    check: async (signal) => {
      try {
        await readAll([zoneName], signal)
        return [
          {
            severity: 'info',
            code: 'dns-by-hand',
            message: `The records of ${zoneName} are changed by a person; the run waits until its name servers say so.`,
            hint: "Have the registrar's form open and its login at hand before the cutover.",
          },
        ]
      } catch (error) {
        if (!(error instanceof MigrateError)) throw error
        return [{ severity: 'error', code: error.code, message: error.message, hint: error.hint }]
      }
    },
    // While name servers disagree, the first one's view is as good as any; `apply` waits for all of them.
    records: async (names, signal) => (await readAll(names.map(canonicalName), signal))[0]?.records ?? [],
    apply: async (changes, signal, tell) => {
      const names = [
        ...new Set(changes.flatMap(({ before, after }) => [before?.name, after?.name].filter((name) => name !== undefined))),
      ]
      // Somebody else's record is refused now; while the person is at work, half-typed forms are waited over.
      outstanding(changes, (await readAll(names, signal))[0]?.records ?? [], 'by-hand')
      let told = ''
      for (;;) {
        const views = await readAll(names, signal)
        if (views.every((view) => allStand(changes, view.records))) return
        const news = progressOf(changes, views)
        if (news !== told && news !== '') tell?.(news)
        told = news
        await clock.sleep(everyMs, signal)
      }
    },
    close: () => Promise.resolve(),
  }
}

/** Half-typed forms are expected while a person works: a record that is neither the old nor the new one is waited over. */
function allStand(changes: readonly RecordChange[], view: readonly DnsRecord[]): boolean {
  try {
    return outstanding(changes, view, 'by-hand').length === 0
  } catch (error) {
    if (error instanceof MigrateError && error.code === 'dns-record-changed') return false
    throw new MigrateError('dns-failed', messageOf(error), { cause: error })
  }
}

/** What the person should hear of: how far the change has come, and what was typed that nobody asked for. '' while all is as before. */
function progressOf(changes: readonly RecordChange[], views: readonly View[]): string {
  const done = views.filter((view) => allStand(changes, view.records)).length
  const wrong = [...new Set(views.flatMap((view) => changes.flatMap((change) => strayIn(change, view))))]
  return [
    ...(done > 0 ? [`${done} of ${views.length} name servers say so.`] : []),
    ...wrong.map((text) => `${text}, which is neither the old record nor the new one: a slip of the keyboard?`),
  ].join(' ')
}

/** Records of the change's name and type that are neither what stood there nor what is wanted. */
function strayIn({ before, after }: RecordChange, { server, records }: View): readonly string[] {
  const of = after ?? before
  const known = [before, after].flatMap((record) => (record === null ? [] : [canonicalContent(record.type, record.content)]))
  const same = records.filter((record) => record.name === of?.name && record.type === of.type)
  // Beside the right one, others of the name may belong there.
  if (same.some((record) => known.includes(record.content))) return []
  return same.map((record) => `${server} now says ${record.type} ${record.name} ${record.content}`)
}

/** What one name server says. */
interface View {
  readonly server: string
  readonly records: readonly DnsRecord[]
}

/** A name server's own view; `undefined` when it didn't answer. */
async function viewOf(server: Resolver, names: readonly string[], signal?: AbortSignal): Promise<View | undefined> {
  const questions = names.flatMap((name) => TYPES.map((type) => ({ name, type })))
  const answers = await Promise.all(
    questions.map(async ({ name, type }) => ({ name, type, answer: await server.query(name, type, signal) })),
  )
  if (answers.some(({ answer }) => answer.status !== 'NOERROR' && answer.status !== 'NXDOMAIN')) return undefined
  const records = answers.flatMap(({ name, type, answer }) =>
    answer.records
      .filter((record) => record.name === name && record.type === type)
      .map((record) => ({
        name,
        type,
        content: canonicalContent(type, record.content),
        ttlSeconds: record.ttlSeconds,
        proxied: false,
        id: null,
      })),
  )
  return { server: server.label, records }
}
