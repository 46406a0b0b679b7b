/** What README.md lists is what there is: reasons, exports, environment variables, defaults. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as library from "../../src/index.ts"
import * as testing from "../../src/testing/index.ts"

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")

const readme = read("README.md")

const section = (heading: string): string => {
  const start = readme.indexOf(`\n## ${heading}\n`)
  assert.isAtLeast(start, 0, heading)
  const end = readme.indexOf("\n## ", start + 1)
  return readme.slice(start, end < 0 ? undefined : end)
}

/** The names in the first column of a section's table. */
const firstColumn = (heading: string): ReadonlyArray<string> =>
  [...section(heading).matchAll(/^\| (`.+?) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name)
  )

const reasonRows = (page: string) => page.split("\n").filter((line) => /^\| `\w+` \| .+ \| .+ \| .+ \|$/.test(line))

describe("README.md", () => {
  it("lists the reasons as docs/errors.md has them", () => {
    assert.deepStrictEqual(reasonRows(section("What can go wrong")), reasonRows(read("docs/errors.md")))
  })

  it("names only entry points that exist", () => {
    const names = firstColumn("Entry points")
    assert.isAtLeast(names.length, 10)
    assert.deepStrictEqual(names.filter((name) => name !== "effect-mail/testing" && !(name in library)), [])
    for (const name of ["MemoryMail", "MailServer", "SampleMail"]) assert.isTrue(name in testing, name)
  })

  it("lists the environment variables that are read", () => {
    const variables = (text: string) => [...new Set(text.match(/\bMAIL_[A-Z_]+\b/g))].sort()
    // The code builds the names of both protocols from one.
    const source = read("src/account/Environment.ts").split("*/")[0] ?? ""
    assert.deepStrictEqual([...firstColumn("An account from the environment")].sort(), variables(source))
  })

  it("tells the caps that are the default", () => {
    const { imapConnections, smtpConnections } = library.Limits.defaults
    assert.include(readme, `Hard caps. Default: ${imapConnections} and ${smtpConnections}.`)
  })

  it("speaks of the version and the Node that package.json has", () => {
    const { engines, scripts, version } = JSON.parse(read("package.json")) as { // our own file
      engines: { node: string }
      scripts: Record<string, string>
      version: string
    }
    assert.include(readme, `Version ${version}:`)
    assert.include(readme, `effect-mail-${version}.tgz`)
    assert.include(readme, `Node (${engines.node.replace(">=", "")} or later)`)
    const commands = [...readme.matchAll(/npm run ([\w:]+)/g)].map(([, name = ""]) => name)
    assert.deepStrictEqual(commands.filter((name) => scripts[name] === undefined), [])
  })
})
