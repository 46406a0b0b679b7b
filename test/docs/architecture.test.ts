/** What docs/architecture.md draws is what the architecture's test holds, and the tests it names are there. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"

const at = (file: string) => new URL(`../../${file}`, import.meta.url)
const read = (file: string) => readFileSync(at(file), "utf8")

const page = read("docs/architecture.md")

const names = (cell: string) => [...cell.matchAll(/[`"]([^`"]+)[`"]/g)].map(([, name = ""]) => name)

describe("docs/architecture.md", () => {
  it("has the arrows that are held", () => {
    const rule = /const arrows.*?= \{\n(.*?)\n\}/s.exec(read("test/architecture.test.ts"))?.[1] ?? ""
    const held = [...rule.matchAll(/^ {2}"?([\w.]+)"?: \[(.*)\],?$/gm)]
      .map(([, part = "", targets = ""]) => [part, names(targets)])
    assert.isAtLeast(held.length, 8)
    const drawn = [...page.matchAll(/^\| `([\w.]+)` \| ((?:`[\w.]+`(?:, )?)+|nothing) \|$/gm)]
      .map(([, part = "", targets = ""]) => [part, names(targets)])
    assert.deepStrictEqual(drawn, held)
  })

  it("has a paragraph for each folder", () => {
    const folders = readdirSync(at("src")).filter((name) => statSync(new URL(`src/${name}`, at(""))).isDirectory())
    assert.deepStrictEqual(folders.filter((name) => !page.includes(`**\`src/${name}\`**`)), [])
  })

  it("names tests that exist", () => {
    const traps = [...page.matchAll(/^\| .+ \| .+ \| `(test\/\S+\.ts)`: (.+) \|$/gm)]
    assert.isAtLeast(traps.length, 10)
    for (const [, file = "", title = ""] of traps) {
      assert.isTrue(existsSync(at(file)), file)
      assert.include(read(file), title)
    }
  })
})
