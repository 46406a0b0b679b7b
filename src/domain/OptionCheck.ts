/**
 * Options that are part of no schema, looked at where they are given. What is wrong with one is a mistake in the program,
 * so it is a `TypeError` that names the option; unnoticed, a bound that is no number would bound nothing.
 */
import { Duration, Option } from "effect"

/** A whole number above 0, or Infinity for none. */
export const wholeNumber = (option: string, given: number): number => {
  if (given === Infinity || (Number.isInteger(given) && given > 0)) return given
  throw new TypeError(`${option} is a whole number above 0, and not ${given}`)
}

/** A number from `least` on, or Infinity. */
export const numberFrom = (option: string, least: number, given: number): number => {
  if (given >= least) return given
  throw new TypeError(`${option} is a number from ${least} on, and not ${given}`)
}

/** A time of `least` milliseconds or longer, or Infinity. */
export const timeFrom = (option: string, least: number, given: Duration.Input): Duration.Duration => {
  const time = readTime(given)
  if (time !== undefined && Duration.toMillis(time) >= least) return time
  const range = least > 0 ? "longer than none" : "none or longer"
  throw new TypeError(`${option} is a time that is ${range}, and not ${String(given)}`)
}

/** Undefined for what is no time. Duration takes a number that is none for a time of none. */
export const readTime = (given: Duration.Input): Duration.Duration | undefined =>
  Number.isNaN(given) ? undefined : Option.getOrUndefined(Duration.fromInput(given))
