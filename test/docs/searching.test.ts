import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")

const [, fields = ""] = /^export interface Criteria \{\n(.*?)^\}/ms.exec(read("src/domain/Criteria.ts")) ?? []

describe("docs/searching.md", () => {
  it("lists the criteria that there are", () => {
    const existing = [...fields.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name).sort()
    const rows = [...read("docs/searching.md").matchAll(/^\| (`.+`) \| (.+) \|$/gm)]
    // `label` is in the row of what is written in its place
    const listed = rows.flatMap(([, names = ""]) => [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name))
    assert.isAtLeast(existing.length, 30)
    assert.deepStrictEqual([...listed, "label"].sort(), existing)
  })
})
