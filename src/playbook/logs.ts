import type { FilesSettings, LogSettings } from './model.ts'
import type { Reading } from './reading.ts'
import type { Path } from './source.ts'

const WILD = /[*?[{]/

/** `logs:` of a host; what is wrong is complained of and left out. */
export function readLogs(
  value: string | readonly string[],
  files: FilesSettings | undefined,
  host: Path,
  { source }: Reading,
): readonly LogSettings[] {
  const path = [...host, 'logs']
  if (files === undefined) {
    // Broken ones are complained of already.
    if (source.entry([...host, 'files']) === undefined)
      source.complain(
        path,
        'The logs are read where the files are, and no files are given.',
        'Add  files: sftp://user@host/path.',
        'key',
      )
    return []
  }
  return [value].flat().flatMap((written, index) => {
    const at = typeof value === 'string' ? path : [...path, index]
    const settings = placeOf(written, files)
    if (typeof settings !== 'string') return [settings]
    source.complain(at, settings, 'Write it like logs/access.log, ~/logs/access_log or /var/log/nginx/shop.*.log.')
    return []
  })
}

/** Where a log lies, or what is wrong with how it is written. */
function placeOf(written: string, files: FilesSettings): LogSettings | string {
  const plain = written.replace(/^\.\//, '')
  const cut = plain.lastIndexOf('/')
  const [folder, pattern] = [plain.slice(0, Math.max(0, cut)), plain.slice(cut + 1)]
  if (WILD.test(folder)) return 'The folder of a log must be exact: a * may stand in the file’s name alone.'
  if (pattern === '' || folder.split('/').includes('..')) return 'This is no path of a log.'
  const isElsewhere = plain.startsWith('/') || plain.startsWith('~')
  if (!isElsewhere) return { written, files: undefined, folder, pattern }
  if (plain.startsWith('~') && files.protocol === 'local') return 'A path below ~ is meant for a host; here, write it from / on.'
  return { written, files: { ...files, root: folder === '' ? '/' : folder }, folder: '', pattern }
}
