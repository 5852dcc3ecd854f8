import type { Finding } from '../base/errors.ts'
import { formatBytes, formatCount } from '../base/units.ts'
import type { FileEntry } from '../files/port.ts'

/** Folders that software makes anew: by their name, anywhere in the site. */
const NAMES: ReadonlySet<string> = new Set([
  'cache',
  'caches',
  '.cache',
  'tmp',
  'temp',
  'log',
  'logs',
  'sessions',
  'session',
  'node_modules',
  '__pycache__',
])
/** The same by the end of their path: their name alone says too little. */
const ENDS: readonly string[] = [
  'wp-content/upgrade',
  'wp-content/ai1wm-backups',
  'wp-content/updraft',
  'wp-content/backups',
  'wp-content/wflogs',
  'var/report',
  'var/page_cache',
  'var/view_preprocessed',
  'app_data/logfiles',
  'app_data/temp',
  'bootstrap/cache',
  'storage/framework',
]
/** Below these, such a name is a program's part: `vendor/symfony/cache`. */
const CODE: ReadonlySet<string> = new Set([
  'vendor',
  'lib',
  'libs',
  'src',
  'packages',
  'plugins',
  'modules',
  'wp-includes',
  'wp-admin',
])
/** Folders told of; more would be looked through by nobody. */
const MOST = 12
/** Folders kept count of. */
const MOST_COUNTED = 1000
/** Below this it doesn't matter whether they are copied. */
const WORTH_BYTES = 1024 * 1024
const WORTH_FILES = 100

interface Size {
  files: number
  bytes: number
}

/** Keeps count of the cache and log folders of a listing while it goes by; memory doesn't grow with it. */
export class CacheFolders {
  readonly #sizes = new Map<string, Size>()

  /** Of what the playbook has saved; what it leaves out needs no word. */
  add(entry: FileEntry): void {
    if (entry.kind !== 'file') return
    const folder = cacheFolderOf(entry.path)
    if (folder === undefined) return
    const size = this.#sizes.get(folder) ?? { files: 0, bytes: 0 }
    size.files += 1
    size.bytes += entry.size
    if (this.#sizes.size < MOST_COUNTED) this.#sizes.set(folder, size)
  }

  findings(): readonly Finding[] {
    const worth = [...this.#sizes]
      .filter(([, { files, bytes }]) => files >= WORTH_FILES || bytes >= WORTH_BYTES)
      .sort(([, a], [, b]) => b.bytes - a.bytes || b.files - a.files)
      .slice(0, MOST)
    if (worth.length === 0) return []
    const named = worth.map(([path, { files, bytes }]) => `${path} (${formatCount(files)} files, ${formatBytes(bytes)})`)
    return [
      {
        severity: 'info',
        code: 'cache-folders',
        message: `By their names, the shop makes these folders anew, and they need not be copied: ${named.join(', ')}.`,
        hint: `To leave them behind, if nothing in them is missed:  snapshot-files: { exclude: [${worth.map(([path]) => JSON.stringify(`${patternOf(path)}/**`)).join(', ')}] }`,
      },
    ]
  }
}

/** The outermost folder on the way to a file that is made anew; `undefined` when none is. */
function cacheFolderOf(path: string): string | undefined {
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
    const folder = path.slice(0, end)
    const small = folder.toLowerCase()
    const name = small.slice(small.lastIndexOf('/') + 1)
    if (NAMES.has(name) || ENDS.some((ending) => small === ending || small.endsWith(`/${ending}`))) return folder
    if (CODE.has(name)) return undefined
  }
  return undefined
}

/** The folder as a pattern: what would stand for something else is spelled as one character of any kind. */
const patternOf = (path: string): string => path.replaceAll(/[*?[\]{},]/g, '?')
