import { assert, describe, it } from "@effect/vitest"
import { readFileSync, writeFileSync } from "node:fs"
import { providersPage } from "./providersPage.ts"

const page = new URL("../../docs/providers.md", import.meta.url)

describe("docs/providers.md", () => {
  it("is made from the data of the providers", () => {
    if (process.env["UPDATE_DOCS"] === "1") writeFileSync(page, providersPage())
    assert.strictEqual(readFileSync(page, "utf8"), providersPage())
  })
})
