import type { LoggedRequest } from './lines.ts'

/** What is said by the programs that look whether a site is up, this one among them. */
const MONITORS =
  /live-host-migration|monitor|health|uptime|pingdom|statuscake|site24x7|updown\.io|better ?stack|nagios|icinga|check_http|zabbix|prometheus|blackbox|kube-probe|googlehc|haproxy|newrelic|datadog|always ?on|application initialization|internal dummy connection|certbot|let's encrypt/i
const PROBES =
  /^\/(?:health(?:z|check)?|livez|readyz|ready|alive|ping|up|status|server-status|nginx_status|fpm-status|\.well-known\/acme-challenge\/.*)\/?(?:\?.*)?$/i
/** Bots and programs, by what well-behaved ones call themselves. */
const BOTS =
  /bot\b|bot[/;_-]|crawl|spider|slurp|facebookexternalhit|preview|archiver|scrapy|feed|curl\/|wget\/|python|go-http-client|java\/|libwww|okhttp|headless|zgrab|masscan|nmap|censys|expanse|semrush|ahrefs/i

/**
 * True when a customer may have sent the request. What looks whether a site is up is none, nor what is answered with 4xx: most of
 * that is scanners, which go on asking an address for ever. `bots`: search engines and programs count too.
 */
export function isCustomer({ agent, path, status }: LoggedRequest, bots: boolean): boolean {
  if (status !== null && status >= 400 && status < 500) return false
  if (PROBES.test(path) || (agent !== null && MONITORS.test(agent))) return false
  return bots || agent === null || (agent !== '' && !BOTS.test(agent))
}
