// Goes through one folder of an FTP server as a run does it that doesn't know whether the new host folds case, in a process whose memory the
// test bounds. Argument: the server's port. The answer, JSON on stdout: what was found, and by how much more memory than a small folder took.

import { Secret } from '../../src/base/secret.ts'
import { boundYoungGeneration } from '../../src/base/young-generation.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import { comparePaths } from '../../src/files/paths.ts'
import { SameNames } from '../../src/steps/same-names.ts'

boundYoungGeneration()
const login = { host: '127.0.0.1', port: Number(process.argv[2]), user: 'shop', password: new Secret('x'), root: '/' }
const host = openFtp({ ...login, tls: 'none', connections: 2 })
const found = { entries: 0, folders: 0, targets: 0, inOrder: true, alike: [] as string[] }

async function goThrough(folder: string): Promise<number> {
  const names = new SameNames({ composes: true, folds: true }, (both) => found.alike.push(both))
  let last = ''
  for await (const { path, kind, target } of host.list(folder)) {
    names.add(path)
    found.entries += 1
    if (kind === 'folder') found.folders += 1
    if (target !== null) found.targets += 1
    if (comparePaths(last, path) >= 0) found.inOrder = false
    last = path
  }
  names.close()
  return process.resourceUsage().maxRSS
}

const before = await goThrough('small')
try {
  const grownMib = ((await goThrough('large')) - before) / 1024
  console.log(JSON.stringify({ ...found, grownMib }))
} catch (error) {
  console.log(JSON.stringify({ code: Reflect.get(Object(error), 'code') }))
}
await host.close()
