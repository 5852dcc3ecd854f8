// A vitest reporter: after the ordinary report it names the suites that were skipped (their titles give the reason), then what failed,
// each with the first lines of its error, and ends with one line to read from a distance or by a script: `412 passed, 0 failed, 6 skipped`.
// Whoever keeps only the end of a long log still knows what failed.
// With MIGRATE_TEST_SKIPS=FILE the skipped suites' titles are also written there, one a line.
import { writeFileSync } from 'node:fs'

const LONGEST_LINE = 600
const MOST_LINES = 6

export default class ClosingLine {
  onTestRunEnd(modules, unhandledErrors) {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const states = tests.map((test) => test.result().state)
    const count = (state) => states.filter((each) => each === state).length
    const skipped = modules.flatMap((module) => skippedIn(module, pathOf(module)))
    if (skipped.length > 0) process.stdout.write(`\nSkipped:\n${skipped.map((title) => `  ${title}\n`).join('')}`)
    if (process.env.MIGRATE_TEST_SKIPS)
      writeFileSync(process.env.MIGRATE_TEST_SKIPS, skipped.map((title) => `${title}\n`).join(''))
    const failed = [...modules.flatMap(failedIn), ...unhandledErrors.map((error) => ({ title: 'outside of any test', error }))]
    if (failed.length > 0) {
      const lines = failed.map(({ title, error }) => `  ${title}\n${firstLines(error)}`)
      process.stdout.write(`\nFailed:\n${lines.join('')}`)
    }
    process.stdout.write(`\n${count('passed')} passed, ${failed.length} failed, ${count('skipped') + count('pending')} skipped\n`)
  }
}

const pathOf = (module) => module.relativeModuleId ?? module.moduleId

/** Tests, and files and suites that broke before or after theirs: those have errors of their own. */
function failedIn(module) {
  const broken = [module, ...module.children.allSuites()].filter((each) => each.errors().length > 0)
  const tests = [...module.children.allTests()].filter((test) => test.result().state === 'failed')
  return [
    ...broken.map((each) => ({ title: titleOf(module, each), error: each.errors()[0] })),
    ...tests.map((test) => ({ title: titleOf(module, test), error: test.result().errors?.[0] })),
  ]
}

const titleOf = (module, part) => (part === module ? pathOf(module) : `${pathOf(module)} > ${part.fullName}`)

function firstLines(error) {
  const message = error?.message ?? String(error)
  const lines = `${error?.name ?? 'Error'}: ${message}`.split('\n').filter((line) => line.trim() !== '')
  const shown = lines.slice(0, MOST_LINES)
  return shown.map((line) => `    ${line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line}\n`).join('')
}

/** The outermost suites (or lone tests) of which nothing ran. */
function skippedIn(parent, path) {
  return [...parent.children].flatMap((child) => {
    const title = `${path} > ${child.name}`
    if (child.type === 'test') return child.result().state === 'skipped' ? [withNote(title, child.result().note)] : []
    const tests = [...child.children.allTests()]
    const nothingRan = tests.length > 0 && tests.every((test) => test.result().state === 'skipped')
    return nothingRan ? [title] : skippedIn(child, title)
  })
}

const withNote = (title, note) => (note ? `${title} (${note})` : title)
