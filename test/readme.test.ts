/**
 * What the documentation shows is what is compiled and run: a TypeScript block below a comment that names an example
 * (`<!-- docs/examples/NAME.ts -->`, or `<!-- docs/examples/NAME.ts#REGION -->` for what stands between
 * `// #region REGION` and `// #endregion`) equals it to the letter, and there are no others. And links lead somewhere.
 */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"

const root = new URL("..", import.meta.url).pathname

const pages = ["", "docs", "benchmarks"]
  .filter((folder) => existsSync(join(root, folder)))
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: folder !== "", encoding: "utf8" }).map((file) => join(folder, file))
  )
  .filter((file) => file.endsWith(".md"))
  .sort()

const read = (file: string): string | undefined =>
  existsSync(join(root, file)) ? readFileSync(join(root, file), "utf8") : undefined

const dedent = (text: string): string => {
  const indents = text.split("\n").filter((line) => line.trim() !== "").map((line) => line.search(/\S/))
  const indent = Math.min(...indents)
  return text.split("\n").map((line) => line.slice(indent)).join("\n")
}

/** What the page should show: the file without its regions' marks, or one region of it. */
const excerpt = (source: string, region: string | undefined): string | undefined => {
  if (region === undefined) {
    return source.split("\n").filter((line) => !/^\s*\/\/ #(end)?region\b/.test(line)).join("\n").trim()
  }
  const lines = source.split("\n")
  const start = lines.findIndex((line) => line.trim() === `// #region ${region}`)
  const end = lines.findIndex((line, index) => index > start && /^\s*\/\/ #endregion\b/.test(line))
  return start < 0 || end < 0 ? undefined : dedent(lines.slice(start + 1, end).join("\n")).trim()
}

type Read = (file: string) => string | undefined

const differences = (page: string, text: string, read: Read): ReadonlyArray<string> => {
  const blocks = text.matchAll(
    /^[ \t]*<!--\s*(docs\/examples\/[^\s#]+)(?:#(\S+))?\s*-->\n+[ \t]*```(?:ts|typescript)[^\n]*\n([\s\S]*?)^[ \t]*```/gm
  )
  const marks = [...text.matchAll(/^[ \t]*<!--\s*docs\/examples\/\S+\s*-->/gm)].length
  const found = [...blocks]
  const shown = [...text.matchAll(/^[ \t]*```(?:ts|typescript)\b/gm)].length
  const stray = [
    ...(marks === found.length ? [] : [`${page}: ${marks - found.length} marks without a block below them`]),
    ...(shown === found.length ? [] : [`${page}: ${shown - found.length} blocks that are no example`])
  ]
  return stray.concat(found.flatMap(([, file = "", region, block = ""]) => {
    const source = read(file)
    const expected = source === undefined ? undefined : excerpt(source, region)
    const name = region === undefined ? file : `${file}#${region}`
    if (expected === undefined) return [`${page}: ${name} is not there`]
    return dedent(block).trim() === expected ? [] : [`${page}: differs from ${name}`]
  }))
}

/** As GitHub names the headings of a page. */
const anchors = (text: string): ReadonlySet<string> =>
  new Set(
    [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#{1,6}\s+(.+)$/gm)].map(([, heading = ""]) =>
      heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replace(/\s/g, "-")
    )
  )

const brokenLinks = (
  page: string,
  text: string,
  read: Read,
  exists: (file: string) => boolean
): ReadonlyArray<string> => {
  const prose = text.replace(/^[ \t]*```[\s\S]*?^[ \t]*```/gm, "").replace(/`[^`\n]*`/g, "")
  const targets = [
    ...prose.matchAll(/\]\(\s*<?([^)\s>]+)/g),
    ...prose.matchAll(/^\[[^\]]+\]:\s*(\S+)/gm)
  ].map(([, target = ""]) => target)
  return targets.filter((target) => !/^[a-z][a-z+.-]*:/i.test(target)).flatMap((target) => {
    const [path = "", anchor] = target.split("#")
    const file = path === "" ? page : normalize(join(dirname(page), decodeURIComponent(path)))
    if (!exists(file)) return [`${page}: ${target}`]
    const there = anchor === undefined || !file.endsWith(".md") || anchors(read(file) ?? "").has(anchor)
    return there ? [] : [`${page}: ${target}`]
  })
}

describe("documentation", () => {
  it("shows examples as they are compiled and run", () => {
    assert.isNotEmpty(pages)
    assert.deepStrictEqual(pages.flatMap((page) => differences(page, read(page) ?? "", read)), [])
  })

  it("has links that lead somewhere", () => {
    const exists = (file: string) => existsSync(join(root, file))
    assert.deepStrictEqual(pages.flatMap((page) => brokenLinks(page, read(page) ?? "", read, exists)), [])
  })

  it("is told apart from an example that has changed", () => {
    const example = `import "x"\n// #region use\n  const a = 1\n\n  const b = 2\n// #endregion\n`
    const page = (mark: string, ...lines: ReadonlyArray<string>) =>
      differences(
        "a.md",
        [`<!-- docs/examples/${mark} -->`, ...lines, ""].join("\n"),
        (file) => file === "docs/examples/a.ts" ? example : undefined
      )
    assert.deepStrictEqual(page("a.ts#use", "```ts", "const a = 1", "", "const b = 2", "```"), [])
    assert.deepStrictEqual(page("a.ts", "```ts", `import "x"`, "  const a = 1", "", "  const b = 2", "```"), [])
    assert.deepStrictEqual(page("a.ts#use", "```ts", "const a = 2", "```"), [
      "a.md: differs from docs/examples/a.ts#use"
    ])
    assert.deepStrictEqual(page("a.ts#gone", "```ts", "```"), ["a.md: docs/examples/a.ts#gone is not there"])
    assert.deepStrictEqual(page("b.ts", "```ts", "```"), ["a.md: docs/examples/b.ts is not there"])
    assert.deepStrictEqual(page("a.ts", "text"), ["a.md: 1 marks without a block below them"])
    assert.deepStrictEqual(
      page("a.ts#use", "```ts", "const a = 1", "", "const b = 2", "```", "```ts", "const c = 3", "```"),
      ["a.md: 1 blocks that are no example"]
    )
  })

  it("is told apart from a link that leads nowhere", () => {
    const text =
      "# A `b`, c\n[one](docs/x.md) [two](#a-b-c) [three](#d) [four](docs/y.md#e) [five](https://example.test)"
    const exists = (file: string) => file !== "docs/x.md"
    assert.deepStrictEqual(brokenLinks("a.md", text, (file) => file === "a.md" ? text : "# F", exists), [
      "a.md: docs/x.md",
      "a.md: #d",
      "a.md: docs/y.md#e"
    ])
  })
})
