import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"

const here = new URL("../../docs/", import.meta.url)
const page = readFileSync(new URL("watching.md", here), "utf8")

const citations = [...page.matchAll(/^- \*(.+)\* \(\[test\]\((\S+)\)\)$/gm)]
  .map(([, title = "", path = ""]) => ({ title, path }))

describe("docs/watching.md", () => {
  it("names a test behind its promises", () => {
    assert.isAtLeast(citations.length, 20)
  })

  for (const { path, title } of citations) {
    it(`cites a test that exists: ${title}`, () => {
      const file = new URL(path, here)
      assert.isTrue(existsSync(file), path)
      assert.include(readFileSync(file, "utf8"), title)
    })
  }
})
