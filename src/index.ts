/** The map of the library: every public name. */
export { Agent } from "./domain/Agent.ts"
