import type { ServersView } from './watch-servers.ts'
import type { World } from './world.ts'

/** Which part of the world is sent to the new host, as the watch of the same process saw it last. */
const shares = new WeakMap<World, number>()

/** Where nobody can be asked, nothing is told. */
export function tellShare(world: World, { agreed, total, blind, settled }: ServersView): void {
  if (total > 0) shares.set(world, agreed / total)
  else if (settled && !blind) shares.set(world, 1)
}

export const shareSeen = (world: World): number | undefined => shares.get(world)
