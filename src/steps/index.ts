import type { StepKind } from './world.ts'

/** The kinds of step that a playbook may name, in the order in which a migration uses them. */
export const stepKinds: readonly StepKind[] = []
