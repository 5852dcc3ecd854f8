import type { z } from 'zod'
import type { Finding } from '../base/errors.ts'
import type { Database } from '../databases/port.ts'
import type { DnsProvider, Resolver } from '../dns/port.ts'
import type { FileHost, Shell } from '../files/port.ts'
import type { LogPlace } from '../logs/tail.ts'
import type { Notifier } from '../notices/port.ts'
import type { Effects, Step } from '../run/step.ts'

/** What the playbook says of one table; defaults filled in. */
export interface TableRules {
  /** `track`: copied and reconciled; `copy-only`: copied, not reconciled; `skip`: its schema is created, no rows. */
  readonly mode: 'track' | 'copy-only' | 'skip'
  readonly headroom: 'auto' | number
  readonly conflict: 'park' | 'old' | 'new' | { readonly newest: string }
  /** Counters: new + (old − baseline). */
  readonly add: readonly string[]
  /** Natural key: the same on both hosts is the same thing. */
  readonly match: readonly string[]
  /** Columns left out of comparison. */
  readonly ignore: readonly string[]
  /** What holds for a column by itself when both hosts changed it; the table's policy holds for the others. */
  readonly columns: Readonly<Record<string, ColumnRule>>
  /** Money and quantity columns whose sums the proof compares. */
  readonly sums: readonly string[]
}

export type ColumnRule = 'park' | 'old' | 'new' | 'add' | { readonly newest: string }

/** A foreign key that the schema doesn't declare. */
export interface Reference {
  readonly table: string
  readonly column: string
  readonly parent: string
  readonly parentColumn: string
}

/** One of the two hosts. A part that the playbook doesn't give is absent, and a step that needs it says so in `check`. */
export interface Host {
  readonly side: 'old' | 'new'
  /** Connects when first used. */
  readonly files?: FileHost
  readonly database?: Database
  readonly shell?: Shell
  /** Access logs; one entry for each that the playbook names. */
  readonly logs?: readonly LogPlace[]
  /** How a command of the founder's own reaches the database: MIGRATE_HOST, _PORT, _USER, _PASSWORD, _DATABASE. Holds the password. */
  readonly databaseEnvironment?: () => Readonly<Record<string, string>>
  /** Where the site answers without DNS: `https://203.0.113.10`. */
  readonly site?: URL
  /** At most so many connections to this host, per protocol. */
  readonly connections: number
}

export interface DnsTarget {
  readonly provider: DnsProvider
  readonly zone: string
  readonly records: readonly { readonly name: string; readonly type: 'A' | 'AAAA' | 'CNAME'; readonly to: string }[]
  /** The zone's name servers; found by asking when the playbook names none. */
  authoritative(): Promise<readonly Resolver[]>
  /** The same servers asked by other means (`dig`), where there are any; [] otherwise. */
  secondOpinion?(): Promise<readonly Resolver[]>
  /** The same servers, with the same labels, asked over TCP alone. */
  overTcp?(): Promise<readonly Resolver[]>
  /** The name servers of the zone above; [] where they can't be found. */
  parents?(): Promise<readonly Resolver[]>
}

/** How the new host will send the shop's mails. */
export interface MailTarget {
  /** `orders@shop.example`. */
  readonly from: string
  /** False when the playbook says nothing of mail, and this is what is likely. */
  readonly isGiven: boolean
  /** Where mails leave from; [] when that isn't known. */
  readonly addresses: readonly string[]
  /** The server that takes them from the new host; absent: it delivers them by itself. */
  readonly via?: { readonly host: string; readonly port: number }
  /** DKIM selectors; absent: not known. */
  readonly dkim?: readonly string[]
  /** Mails an hour to expect; absent: measured. */
  readonly hourly?: number
  readonly perOrder: number
  readonly blocklists: readonly string[]
  readonly resolver: Resolver
}

/** One of the playbook's `notify:`. */
export interface NamedNotifier {
  readonly name: string
  /** The words of its `on:`. */
  readonly on: readonly string[]
  readonly notifier: Notifier
}

/** Everything the steps work on: built from the playbook, in one place (playbook/world.ts), with real adapters or fakes. */
export interface World {
  readonly name: string
  readonly old: Host
  readonly new: Host
  /** The name that customers use: `https://shop.example`. */
  readonly site?: URL
  readonly dns?: DnsTarget
  readonly mail?: MailTarget
  /** Who is told while nobody looks; [] or absent: nobody. */
  readonly notifiers?: readonly NamedNotifier[]
  /** Resolvers for `default` or as given: addresses with ports. */
  resolvers(spec: 'default' | readonly string[]): readonly Resolver[]
  /** True when somebody on the way answers in the place of every name server. */
  isIntercepted?(name: string, signal: AbortSignal): Promise<boolean>
  /** Rules that the playbook gives, by the name it uses. */
  readonly tables: ReadonlyMap<string, TableRules>
  readonly defaults: TableRules
  readonly references: readonly Reference[]
  /** What looks like a reference and isn't one. */
  readonly noReferences: readonly Reference[]
  /** Where a part of the playbook stands, for messages: `['tables', 'Orders']` → `story.yml:49:3`. */
  where(path: readonly (string | number)[]): string
  /** Wraps every effect (run/step.ts). */
  readonly effects: Effects
  /** Closes every connection that was opened. */
  close(): Promise<void>
}

/** What a kind of step is made from, besides its options. */
export interface StepContext {
  readonly id: string
  readonly world: World
  /** Folder of the playbook, absolute: relative paths in options start here. */
  readonly playbookDirectory: string
  /** Name of its file in there. */
  readonly playbookName: string
  /** Every other step of the playbook. */
  readonly others: () => readonly Step[]
  /** The step stands after the one that moves the customers. */
  readonly afterCutover: boolean
}

/**
 * A kind of step: its name in the playbook, its options, and how to make one. `options` must accept `undefined` as "all defaults"
 * where a bare name is allowed. An object of options is strict: unknown keys are errors.
 */
export interface StepKind<O = unknown> {
  readonly name: string
  /** One line for the reference in the README and the editor's completion. */
  readonly summary: string
  readonly options: z.ZodType<O>
  create(options: O, context: StepContext): Step
}

/** A finding made when a step needs a part that the playbook doesn't give. */
export const missingPart = (step: string, part: string, example: string): Finding => ({
  severity: 'error',
  code: 'playbook-part-missing',
  message: `${step} needs ${part}, which the playbook doesn't give.`,
  hint: `Add it, for example: ${example}`,
  ending: 'usage',
})
