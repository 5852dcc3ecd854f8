import type { FileHost } from '../port.ts'
import { FtpFiles } from './host.ts'
import type { FtpOptions } from './options.ts'
import { FtpPool } from './pool.ts'

export type { FtpOptions } from './options.ts'

/**
 * A folder on a host over FTP (RFC 959, 3659), in the clear or encrypted (RFC 4217), in passive mode. Connects when first used. Links
 * can be read, not made; names with a line break have no way through this protocol and are refused.
 */
export const openFtp = (options: FtpOptions): FileHost => new FtpFiles(options, new FtpPool(options))
