/** What is wrong with data from outside, by the names of its fields. The values are never repeated: one may be a secret. */
import { SchemaIssue } from "effect"
import { InvalidInput } from "./MailError.ts"

/**
 * The problems of a failed decoding as one reason: the first field and its problem, then the others. `whole` stands for
 * the data itself where no field is to blame.
 */
export const toInvalidInput = (issue: SchemaIssue.Issue, whole: string): InvalidInput => {
  const problems = new Map<string, string>()
  for (const { message, path = [] } of toIssues(issue).issues) {
    const field = path.map(String).join(".") || whole
    if (!problems.has(field)) problems.set(field, message)
  }
  const [[field, problem] = [whole, "is wrong"], ...others] = problems
  const more = others.map(([field, problem]) => `; ${field}: ${problem}`).join("")
  return new InvalidInput({ field, problem: `${problem}${more}` })
}

const toIssues = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) =>
    issue._tag === "MissingKey"
      ? "is missing"
      : issue._tag === "UnexpectedKey"
      ? "is unknown here"
      : SchemaIssue.defaultLeafHook(issue)
})
