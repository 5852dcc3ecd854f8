// A vitest reporter: after the ordinary report it names the suites that were skipped (their titles give the reason), and ends with
// one line to read from a distance or by a script: `412 passed, 0 failed, 6 skipped`.
// With MIGRATE_TEST_SKIPS=FILE the skipped suites' titles are also written there, one a line.
import { writeFileSync } from 'node:fs'

export default class ClosingLine {
  onTestRunEnd(modules, unhandledErrors) {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const states = tests.map((test) => test.result().state)
    const count = (state) => states.filter((each) => each === state).length
    const failedModules = modules.filter((module) => module.errors().length > 0).length
    const skipped = modules.flatMap((module) => skippedIn(module, module.relativeModuleId ?? module.moduleId))
    if (skipped.length > 0) process.stdout.write(`\nSkipped:\n${skipped.map((title) => `  ${title}\n`).join('')}`)
    if (process.env.MIGRATE_TEST_SKIPS)
      writeFileSync(process.env.MIGRATE_TEST_SKIPS, skipped.map((title) => `${title}\n`).join(''))
    const failed = count('failed') + failedModules + unhandledErrors.length
    process.stdout.write(`\n${count('passed')} passed, ${failed} failed, ${count('skipped') + count('pending')} skipped\n`)
  }
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
