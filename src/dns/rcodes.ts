/** RFC 1035, 4.1.1, and RFC 2136, 2.2. */
const RCODES = [
  'NOERROR',
  'FORMERR',
  'SERVFAIL',
  'NXDOMAIN',
  'NOTIMP',
  'REFUSED',
  'YXDOMAIN',
  'YXRRSET',
  'NXRRSET',
  'NOTAUTH',
  'NOTZONE',
] as const

/** A response code's name; `RCODE17` for one without. */
export const rcodeName = (code: number): string => RCODES[code] ?? `RCODE${code}`
