import { MigrateError } from '../base/errors.ts'
import { decodeText, encodeText } from '../files/text.ts'
import type { StandingFile } from './file-change.ts'
import { MARKER } from './relay-ask.ts'

export const HTACCESS = '.htaccess'
export const RELAY_PHP = 'migrate-relay.php'

const [BEGIN, END] = ['# BEGIN migrate relay', '# END migrate relay']
const SECTION = /# BEGIN migrate relay\r?\n[\s\S]*?# END migrate relay\r?\n/g
/** Certificates are renewed by files there, on whichever host asks for them (RFC 8555, 8.3). */
const NOT_ACME = 'RewriteCond %{REQUEST_URI} !^/\\.well-known/acme-challenge/'
/** Path as it was sent: REQUEST_URI is decoded, and what is encoded in it would be changed on its way. */
const SENT_PATH = 'RewriteCond %{THE_REQUEST} "^[A-Z]+ (?:[a-zA-Z]+://[^/ ]+)?(/[^ ?]*)"'

/** `.htaccess` with our section at its top, in place of an earlier one; all else in it is kept. */
export function htaccessWith(section: readonly string[], standing: StandingFile | null): Buffer {
  const file = decodeText(standing?.bytes ?? Buffer.alloc(0))
  if (file.encoding.startsWith('utf16'))
    throw new MigrateError(
      'config-unreadable',
      `${HTACCESS} on ${standing?.label ?? 'the old host'} is written in UTF-16. It was left as it is.`,
    )
  const newline = file.text.includes('\r\n') ? '\r\n' : '\n'
  const ours = [BEGIN, ...section, END].map((line) => line + newline).join('')
  return encodeText({ ...file, text: ours + file.text.replace(SECTION, '') })
}

/**
 * Redirects by mod_rewrite, else by mod_alias. [R=307] keeps a POST one (RFC 9110, 15.4.8); [NE]: not escaped anew. The query is
 * appended as it is where the substitution has none (Apache HTTP Server documentation, mod_rewrite, "RewriteRule").
 */
export const redirectSection = (to: URL): readonly string[] => [
  '<IfModule mod_rewrite.c>',
  '  RewriteEngine On',
  `  ${NOT_ACME}`,
  `  ${SENT_PATH}`,
  `  RewriteRule ^ ${to.origin}%1 [R=307,NE,L]`,
  '</IfModule>',
  '<IfModule !mod_rewrite.c>',
  `  RedirectMatch 307 ^(?!/\\.well-known/acme-challenge/)(/.*)$ ${to.origin}$1`,
  '</IfModule>',
]

/** Sends every request to our PHP file, pictures too. CGI hides Authorization from PHP unless it is handed over. */
export const phpSection = (): readonly string[] => [
  'RewriteEngine On',
  `RewriteRule ^${RELAY_PHP.replaceAll('.', '\\.')}$ - [L]`,
  NOT_ACME,
  `RewriteRule ^ ${RELAY_PHP} [E=HTTP_AUTHORIZATION:%{HTTP:Authorization},L]`,
]

/**
 * Passes on by mod_proxy. What .htaccess can't: ProxyPreserveHost and SSLProxyEngine belong to the server's own configuration
 * (mod_proxy, mod_ssl), so the new host is asked by plain HTTP and under the customers' name, as the old host's resolver leads it.
 */
export const proxySection = (target: URL): readonly string[] => [
  'RewriteEngine On',
  NOT_ACME,
  `RewriteCond %{HTTP:${MARKER}} !^$`,
  'RewriteRule ^ - [R=508,L]',
  NOT_ACME,
  SENT_PATH,
  `RewriteRule ^ ${target.origin}%1 [P,NE,E=MIGRATE_RELAY:1]`,
  `RequestHeader set ${MARKER} proxy`,
  'RequestHeader set X-Forwarded-Proto expr=%{REQUEST_SCHEME}',
  `Header always set ${MARKER} proxy env=MIGRATE_RELAY`,
]
