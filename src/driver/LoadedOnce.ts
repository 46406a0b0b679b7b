/**
 * A module that is loaded when it is first needed. Importing the mail packages takes as long as all the rest of the
 * library; a program should not wait at its start for one that it may never use.
 */
import { Effect } from "effect"

/** The module, without a turn of the event loop once it has been loaded. Dies where it is not installed. */
export const loadedOnce = <Module>(load: () => Promise<Module>): Effect.Effect<Module> => {
  let loaded: Module | undefined
  return Effect.suspend(() =>
    loaded === undefined
      ? Effect.map(Effect.promise(load), (module) => loaded = module)
      : Effect.succeed(loaded)
  )
}
