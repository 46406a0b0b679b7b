/**
 * Classes of values that a program makes itself, from values it was given. A constructor of Effect's says "Schema
 * validation failed" and prints the whole schema beside it; these say which field is wrong, and why.
 */
import { SchemaIssue } from "effect"
import { toInvalidInput } from "./SchemaProblem.ts"

/**
 * The class, whose constructor throws a `TypeError` that names each field that cannot be, and never repeats a value. A
 * field that may be absent may be `undefined` too, as where a program hands on what it may not have.
 */
export const madeByHand = <Class extends abstract new(...args: never) => object>(schemaClass: Class): Class =>
  new Proxy(schemaClass, {
    construct(target, [fields, options], made): object {
      try {
        return Reflect.construct(target, [present(fields), options], made)
      } catch (error) {
        throw named(made.name, error)
      }
    }
  })

/** The field in place of the cause, which holds the schema. */
const named = (name: string, error: unknown): unknown =>
  error instanceof Error && SchemaIssue.isIssue(error.cause)
    ? new TypeError(`${name}: ${toInvalidInput(error.cause, "its fields").message}`)
    : error

/** Without the fields that are undefined. */
const present = (fields: unknown): unknown =>
  typeof fields === "object" && fields !== null && Object.values(fields).includes(undefined)
    ? Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
    : fields
