import { z } from 'zod'
import { durationMs } from '../steps/options.ts'
import { mailSchema } from './mail.ts'
import { notifySchema } from './notify.ts'

const text = z.string().min(1)
const secret = text.meta({ description: `A secret: \${NAME} takes it from the environment, \${file:PATH} from a file` })

export const nameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be a plain name\nUse letters, digits, - and _ only, 64 at most: it names the folder that keeps the run.',
  )
  .meta({ description: 'Name of the migration; the run is kept in .migrate/NAME beside the playbook' })

/** Keys beside `url:` under `files:`. */
export const filesOptionsSchema = z.strictObject({
  url: text.meta({ description: 'sftp://user@host/path, ftp:// and ftps:// likewise, or the path of a local folder' }),
  password: secret.optional(),
  key: text.optional().meta({ description: 'Path of a private key' }),
  passphrase: secret.optional(),
  agent: z.union([z.boolean(), text]).optional().meta({
    description: 'The SSH agent: true, false, or the path of its socket; used without password and key when there is one',
  }),
  fingerprint: text
    .optional()
    .meta({ description: 'The host key that the server must show: SHA256:…; ftps: SHA-256 of its certificate, hexadecimal' }),
  hostKey: text.optional().meta({ description: 'The same as known_hosts has it: ssh-ed25519 AAAA…' }),
  knownHosts: text.optional().meta({ description: 'Path of a known_hosts file; ~/.ssh/known_hosts when left out' }),
  ca: text.optional().meta({ description: 'ftps: path of the PEM file with the authorities to trust' }),
})

/** Keys beside `url:` under `database:`; all but `url` and `password` may stand in the URL's query as well. */
export const databaseOptionsSchema = z.strictObject({
  url: text.meta({ description: 'mssql://user@host/database; likewise mysql://, mariadb://, postgres://' }),
  password: secret.optional(),
  encrypt: z.boolean().optional().meta({ description: 'mssql: TLS, on unless switched off' }),
  trustServerCertificate: z
    .boolean()
    .optional()
    .meta({ description: 'mssql: accept a certificate that nobody signed, and TLS below 1.2' }),
  instance: text.optional().meta({ description: 'mssql: a named instance' }),
  domain: text.optional().meta({ description: 'mssql: Windows domain of the login' }),
  applicationIntent: z
    .enum(['ReadOnly', 'ReadWrite'])
    .optional()
    .meta({ description: 'mssql: ReadOnly asks an availability group for a secondary that may be read' }),
  sslmode: z
    .enum(['disable', 'prefer', 'require', 'verify-full'])
    .optional()
    .meta({ description: 'mysql, postgres: TLS as libpq has it' }),
  ca: text.optional().meta({ description: 'Path of the certificate authority’s PEM file' }),
  connectTimeout: durationMs.optional(),
  statementTimeout: durationMs.optional().meta({
    description: 'How long the server may work on one question, such as 30s or 10m (2m); rows that are copied take their time',
  }),
})

const siteSchema = text.meta({ description: 'https://203.0.113.10: where this host answers, without DNS' })
const connectionsSchema = z.int().min(1).max(64).meta({ description: 'Connections to this host at most, per protocol (4)' })

const orUrl = <T extends z.ZodType>(options: T) => z.union([text, options], { error: 'must be a URL, or a mapping with url:' })

/** `old:` and `new:`. */
export const hostShape = {
  files: orUrl(filesOptionsSchema)
    .optional()
    .meta({ description: 'The site’s files: sftp://, ftps:// or ftp://user@host/path, or a local path' }),
  database: orUrl(databaseOptionsSchema)
    .optional()
    .meta({ description: 'The shop’s database: mssql://, mysql://, mariadb:// or postgres://' }),
  logs: z
    .union([text, z.array(text).min(1)], { error: 'must be a path, or a list of paths' })
    .optional()
    .meta({
      description:
        'Access logs, by which hits are counted: logs/access.log or logs/u_ex*.log below the files’ folder, or /var/log/… and ~/logs/… on the same server',
    }),
  site: siteSchema.optional(),
  connections: connectionsSchema.optional(),
}
const hostSchema = z.strictObject(hostShape)

const recordSchema = z.strictObject({
  name: text.meta({ description: 'Full name: www.shop.example' }),
  type: z.enum(['A', 'AAAA', 'CNAME']),
  to: text.meta({ description: 'The new address, or for a CNAME the new name' }),
})

export const dnsKeyShape = {
  name: text.meta({ description: 'As the server’s configuration has it' }),
  algorithm: z
    .enum(['hmac-sha256', 'hmac-sha512', 'hmac-sha384', 'hmac-sha224', 'hmac-sha1'], {
      error: (issue) =>
        issue.input === 'hmac-md5'
          ? 'may not be hmac-md5, which is broken (RFC 8945, 6)\nMake a new key: tsig-keygen -a hmac-sha256'
          : undefined,
    })
    .default('hmac-sha256'),
  secret: secret.meta({ description: 'Base64, as tsig-keygen or keymgr wrote it' }),
}

export const dnsShape = {
  provider: z.enum(['cloudflare', 'rfc2136', 'manual']).meta({
    description:
      'Who publishes the zone; rfc2136: a name server of one’s own (BIND, Knot, …); manual: a person makes the changes',
  }),
  zone: text.meta({ description: 'shop.example' }),
  token: secret.optional().meta({ description: 'API token with the right to edit the zone’s DNS' }),
  api: text.optional().meta({ description: 'Another address of the API' }),
  server: text
    .optional()
    .meta({ description: 'For rfc2136, the zone’s primary name server: ns1.shop.example or 192.0.2.53:5301' }),
  key: z.strictObject(dnsKeyShape).optional().meta({ description: 'For rfc2136, the TSIG key that may update the zone' }),
  nameservers: z
    .array(text)
    .min(1)
    .optional()
    .meta({ description: 'The zone’s name servers as ip or ip:port, where asking for them doesn’t work' }),
  records: z
    .array(recordSchema)
    .min(1, 'may not be empty\nName the records that move, for example { name: shop.example, type: A, to: 198.51.100.20 }.'),
}
export const dnsSchema = z.strictObject(dnsShape)

const columns = z.array(text).min(1)
export const tableSchema = z
  .union(
    [
      z.enum(['skip', 'copy-only']),
      z.strictObject({
        headroom: z
          .union([z.literal('auto'), z.int().min(0)])
          .optional()
          .meta({ description: 'How far its identity is raised; auto measures it' }),
        conflict: z
          .union([z.enum(['park', 'old', 'new']), z.strictObject({ newest: text })])
          .optional()
          .meta({ description: 'A row changed on both hosts: park it for a person, keep one host’s, or the newest by a column' }),
        add: columns.optional().meta({ description: 'Counters: new + (old - baseline)' }),
        match: columns.optional().meta({ description: 'Natural key: the same on both hosts is the same thing' }),
        ignore: columns.optional().meta({ description: 'Columns left out of comparison' }),
        columns: z
          .record(text, z.union([z.enum(['park', 'old', 'new', 'add']), z.strictObject({ newest: text })]))
          .optional()
          .meta({ description: 'What holds for a column by itself when both hosts changed it: { Price: old, Stock: add }' }),
        sums: columns.optional().meta({ description: 'Money and quantity columns whose sums the proof compares' }),
      }),
    ],
    { error: 'must be skip, copy-only or a mapping such as { headroom: 1500 }' },
  )
  .meta({ description: 'What differs from the defaults; skip: no rows are copied; copy-only: copied, not reconciled' })

export const tablesSchema = z.record(z.string(), tableSchema)

export const referenceSchema = text.meta({
  description: 'A foreign key that the schema does not declare: Orders.CustomerID -> Customers.CustomerID',
})

/** The playbook's sections. `steps` is put in by the caller, who knows the kinds. */
export const rootShape = {
  name: nameSchema,
  old: hostSchema.meta({ description: 'Where the shop is' }),
  new: hostSchema.meta({ description: 'Where the shop goes' }),
  site: text.optional().meta({ description: 'The name that customers use: https://shop.example' }),
  dns: dnsSchema.optional().meta({ description: 'The records that move at the cutover' }),
  mail: mailSchema
    .optional()
    .meta({ description: 'How the new host will send the shop’s mails; check looks whether they would be taken' }),
  notify: notifySchema.optional(),
  tables: tablesSchema.optional().meta({ description: 'Tables that differ from the defaults' }),
  references: z.array(referenceSchema).optional(),
  rehearsal: hostSchema.optional().meta({
    description:
      'For migrate rehearse: an empty database, a folder and an address of their own on the new host; made and removed when left out',
  }),
  'no-references': z.array(referenceSchema).optional().meta({ description: 'What looks like a reference and is none' }),
}
