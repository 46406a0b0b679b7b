import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"

const here = new URL("../../docs/", import.meta.url)
const page = readFileSync(new URL("concurrency.md", here), "utf8")

const citations = [...page.matchAll(/^- \*(.+)\* \(\[test\]\((\S+)\)\)$/gm)]
  .map(([, title = "", path = ""]) => ({ title, path }))

describe("docs/concurrency.md", () => {
  it("names a test behind its promises", () => {
    assert.isAtLeast(citations.length, 40)
    const lines = page.split("\n").filter((line) => line.includes("[test]"))
    assert.strictEqual(lines.length, citations.length, "a line that cites a test cites nothing else")
  })

  for (const { path, title } of citations) {
    it(`cites a test that exists: ${title}`, () => {
      const file = new URL(path, here)
      assert.isTrue(existsSync(file), path)
      assert.include(readFileSync(file, "utf8"), title)
    })
  }

  it("lists the metrics that there are", () => {
    const telemetry = readFileSync(new URL("../../src/governor/Telemetry.ts", import.meta.url), "utf8")
    const existing = [...telemetry.matchAll(/Metric\.\w+\("(mail_\w+)"/g)].map(([, name]) => name).sort()
    const listed = [...page.matchAll(/^\| `(mail_\w+)` \|/gm)].map(([, name]) => name).sort()
    assert.deepStrictEqual(listed, existing)
  })
})
