import { Secret } from '../../src/base/secret.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import type { FileHost } from '../../src/files/port.ts'
import { carryFilesKind } from '../../src/steps/carry-files.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { testContext, testWorld } from '../fakes/step-run.ts'
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.ts'
import type { Ftpd } from '../servers/ftpd.ts'

/** The steps between two hosts, as in a new process at each call. */
export function between(from: FileHost, to: FileHost) {
  const world = testWorld({ old: { files: from }, new: { files: to } })
  const parsed = <T>(kind: { readonly options: { parse(value: unknown): T } }, value: unknown): T => kind.options.parse(value)
  return {
    snapshot: () => snapshotFilesKind.create(parsed(snapshotFilesKind, undefined), testContext(world, 'snapshot-files')),
    restore: (options?: unknown) =>
      restoreFilesKind.create(parsed(restoreFilesKind, options), testContext(world, 'restore-files')),
    carry: (options: unknown = {}) => carryFilesKind.create(parsed(carryFilesKind, options), testContext(world, 'carry-files')),
  }
}

/** A host over plain FTP, and the line to it. `end` closes both, and the server with them. */
export async function overFtp(
  server: Ftpd,
  root = '/',
): Promise<{ readonly host: FileHost; readonly line: FaultProxy; end(): Promise<void> }> {
  const line = await startFaultProxy({ host: server.address, port: server.port }, { ftp: true })
  const password = new Secret(server.password)
  const login = { host: line.host, port: line.port, user: server.user, password, tls: 'none' } as const
  const host = openFtp({ ...login, root, connections: 2 })
  const end = async (): Promise<void> => {
    await host.close()
    await line.close()
    await server.stop()
  }
  return { host, line, end }
}
