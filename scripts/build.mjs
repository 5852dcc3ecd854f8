// `npm run build`: the TypeScript of src to JavaScript in dist, for the package; a checkout runs from src. Arguments: another folder than dist.
//
// Our modules, and the packages of hundreds of small files, are joined into a few files: most of what a start took was finding and reading
// 1,700 of them. What is loaded only when it is wanted stays in files of its own.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

/** Packages that are joined with ours; the others are CommonJS, bring files of their own, or are small. */
const JOINED = ['cloudflare', 'commander', 'yaml', 'zod']

const root = fileURLToPath(new URL('..', import.meta.url))
const directory = resolve(process.argv[2] ?? join(root, 'dist'))
rmSync(directory, { recursive: true, force: true })

const isOurs = (id) => id.startsWith('.') || isAbsolute(id)
const build = await rolldown({
  input: { main: join(root, 'src/cli/main.ts'), 'hash-thread': join(root, 'src/files/hash-thread.ts') },
  platform: 'node',
  external: (id) => !isOurs(id) && !JOINED.some((name) => id === name || id.startsWith(`${name}/`)),
})
// All in one folder, as deep as src/cli: from there lead the ways to package.json and to the program of the hashing thread.
const names = { entryFileNames: 'cli/[name].js', chunkFileNames: 'cli/[name]-[hash].js' }
await build.write({ dir: directory, format: 'esm', ...names })
await build.close()
writeFileSync(join(directory, 'LICENSES.txt'), JOINED.map(licenseOf).join('\n'))

/** The words under which a package that is joined with ours may be given on. */
function licenseOf(name) {
  const folder = join(root, 'node_modules', name)
  const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt'].map((each) => join(folder, each)).find((each) => existsSync(each))
  if (file === undefined) throw new Error(`${name} has no licence beside its code; ${basename(directory)} can't hold it.`)
  return `${name} ${version} (${license})\n\n${readFileSync(file, 'utf8')}\n`
}
