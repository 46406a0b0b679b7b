/**
 * The architecture, as a table that is held: which folder may import which, who may touch a mail package, what a file
 * may be called, where time and fibers come from. The rules are functions of sources, so that each is also shown a
 * source that breaks it.
 */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, posix } from "node:path"

type Sources = ReadonlyMap<string, string>

/**
 * Folder or file of `src` -> what it may import beside itself. `driver` means its contracts and tables; the adapters,
 * whose names begin with a lower-case letter, are `adapters`.
 */
const arrows: Readonly<Record<string, ReadonlyArray<string>>> = {
  domain: [],
  driver: ["domain"],
  adapters: ["domain", "driver"],
  governor: ["domain", "driver"],
  account: ["domain", "driver", "adapters", "governor"],
  testing: ["domain", "driver"],
  "index.ts": ["domain", "driver", "adapters", "governor", "account"],
  cluster: ["domain", "driver", "governor", "account"],
  mcp: ["domain", "driver", "governor", "account"],
  cli: ["domain", "driver", "governor", "account", "mcp", "cluster"],
  "bin.ts": ["domain", "driver", "adapters", "governor", "account", "mcp", "cluster", "cli"]
}

/** Parts that know nothing of the outside world: of packages, they import effect alone. */
const pure = ["domain", "governor"]

/** Package -> the one part that may import it, and there one file only. */
const mailPackages: Readonly<Record<string, string>> = {
  imapflow: "adapters",
  nodemailer: "adapters",
  mailparser: "adapters",
  "smtp-server": "testing",
  htmlparser2: "adapters"
}

/** A last word that says nothing about what is in the file. */
const vagueName =
  /^(utils?|helpers?|common|manager|shared|types|base)$|[a-z0-9-](Utils?|Helpers?|Common|Manager|Shared|Types|Base)$/

/** What reads the machine's clock or starts a fiber of its own, and the parts that are the edge of the program. */
const unmanaged =
  /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bset(?:Timeout|Interval)\b|\brun(?:Fork|Promise|Sync)\w*\b/g
const edges = ["adapters", "testing", "bin.ts"]

const longest = 400
/** Longer files, each with the reason why it is still one idea. */
const long: Readonly<Record<string, string>> = {
  "governor/Dispatcher.ts": "one state machine, whose transitions are only right together"
}

const root = new URL("../src", import.meta.url).pathname
const sources: Sources = new Map(
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .sort()
    .map((file) => [file, readFileSync(join(root, file), "utf8")])
)

const partOf = (file: string): string => {
  const [folder = "", name] = file.split("/")
  return folder === "driver" && name !== undefined && /^[a-z]/.test(name) ? "adapters" : folder
}

/** The source with its comments blanked; strings stay, so that a `//` in one is not taken for a comment. */
const code = (source: string): string =>
  source.replace(
    /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (match) => match.startsWith("/") ? " " : match
  )

const specifiers = (source: string): ReadonlyArray<string> =>
  [...code(source).matchAll(/(?:^|[\s;}])(?:from\s*|import\s*\(?\s*)"([^"\n]+)"/g)].map(([, name = ""]) => name)

/** An import or export of another file that is there at run time unless it names types only. */
const statement = /(?:^|[\n;}])(?:import|export)\s+((?:type\s+)?(?:[*{\w][^"=()]*?)\s*from\s*)?"([^"\n]+)"/g

const packageOf = (specifier: string): string =>
  specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/")

const relativeImports = (file: string, source: string): ReadonlyArray<string> =>
  specifiers(source)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => posix.normalize(posix.join(dirname(file), specifier)))

const wrongArrows = (sources: Sources): ReadonlyArray<string> =>
  [...sources].flatMap(([file, source]) => {
    const part = partOf(file)
    const allowed = arrows[part]
    if (allowed === undefined) return [`${file}: ${part} has no place in the table`]
    return relativeImports(file, source)
      .filter((target) => partOf(target) !== part && !allowed.includes(partOf(target)))
      .map((target) => `${file} -> ${target}`)
  })

const wrongPackages = (sources: Sources): ReadonlyArray<string> => {
  const importers = new Map<string, Set<string>>()
  const wrong: Array<string> = []
  for (const [file, source] of sources) {
    const part = partOf(file)
    for (const specifier of specifiers(source).filter((specifier) => !specifier.startsWith("."))) {
      const name = packageOf(specifier)
      if (pure.includes(part) && name !== "effect") wrong.push(`${file} -> ${specifier}`)
      const owner = mailPackages[name]
      if (owner === undefined) continue
      if (owner !== part) wrong.push(`${file} -> ${specifier}`)
      importers.set(name, (importers.get(name) ?? new Set()).add(file))
    }
  }
  for (const name of Object.keys(mailPackages)) {
    const files = [...importers.get(name) ?? []]
    if (files.length !== 1) wrong.push(`${name} <- ${files.length === 0 ? "nobody" : files.join(", ")}`)
  }
  return [...new Set(wrong)]
}

/** Packages that are loaded with the root, because some file on the way imports more than types of them. */
const loadedAtStart = (sources: Sources): ReadonlyArray<string> => {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const walk = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const [, kind = "", name = ""] of code(sources.get(file) ?? "").matchAll(statement)) {
      if (/^type\s/.test(kind) || /^\{(?:\s*type [^,}]*,?)+\s*\}/.test(kind)) continue
      if (name.startsWith(".")) walk(posix.normalize(posix.join(dirname(file), name)))
      else packages.add(packageOf(name))
    }
  }
  walk("index.ts")
  return [...packages].filter((name) => !name.startsWith("node:")).sort()
}

const cycles = (sources: Sources): ReadonlyArray<string> => {
  const found: Array<string> = []
  const done = new Set<string>()
  const walk = (file: string, path: ReadonlyArray<string>): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push([...path.slice(start), file].join(" -> "))
    if (start >= 0 || done.has(file)) return
    for (const target of relativeImports(file, sources.get(file) ?? "")) walk(target, [...path, file])
    done.add(file)
  }
  for (const file of sources.keys()) walk(file, [])
  return found
}

const vagueNames = (sources: Sources): ReadonlyArray<string> =>
  [...sources.keys()].filter((file) => file.replace(/\.ts$/, "").split("/").some((name) => vagueName.test(name)))

const unmanagedCalls = (sources: Sources): ReadonlyArray<string> =>
  [...sources].flatMap(([file, source]) =>
    edges.includes(partOf(file)) ? [] : (code(source).match(unmanaged) ?? []).map((call) => `${file}: ${call}`)
  )

const linesOf = (source: string): number => source.trimEnd().split("\n").length

const tooLong = (sources: Sources): ReadonlyArray<string> =>
  [...sources].flatMap(([file, source]) =>
    linesOf(source) > longest && long[file] === undefined ? [`${file}: ${linesOf(source)} lines`] : []
  )

const undocumented = (sources: Sources): ReadonlyArray<string> =>
  [...sources].flatMap(([file, source]) => /^(#![^\n]*\n)?\/\*\*/.test(source) ? [] : [file])

describe("architecture", () => {
  it("imports only along the arrows", () => {
    assert.deepStrictEqual(wrongArrows(sources), [])
    const broken = new Map([
      ["domain/A.ts", `import { B } from "../driver/B.ts"`],
      ["governor/C.ts", `import type { D } from "../driver/imapflow.ts"\nimport { E } from "../driver/E.ts"`],
      ["governor/F.ts", `import type { D } from "../driver/imapflow/Lines.ts"`],
      ["account/G.ts", `export * from "../testing/index.ts"`],
      ["misc/H.ts", ""]
    ])
    assert.deepStrictEqual(wrongArrows(broken), [
      "domain/A.ts -> driver/B.ts",
      "governor/C.ts -> driver/imapflow.ts",
      "governor/F.ts -> driver/imapflow/Lines.ts",
      "account/G.ts -> testing/index.ts",
      "misc/H.ts: misc has no place in the table"
    ])
  })

  it("keeps each mail package behind one file, and the inner parts free of any package but effect", () => {
    assert.deepStrictEqual(wrongPackages(sources), [])
    const broken = new Map([
      ["driver/imapflow.ts", `import { ImapFlow } from "imapflow"`],
      ["driver/idle.ts", `// import "mailparser"\nimport type { ImapFlow } from "imapflow"`],
      ["domain/A.ts", `import { readFile } from "node:fs"\nimport { Effect } from "effect/Effect"`],
      ["account/B.ts", `const { SMTPServer } = await import("smtp-server")`]
    ])
    assert.deepStrictEqual(wrongPackages(broken), [
      "domain/A.ts -> node:fs",
      "account/B.ts -> smtp-server",
      "imapflow <- driver/imapflow.ts, driver/idle.ts",
      "nodemailer <- nobody",
      "mailparser <- nobody",
      "htmlparser2 <- nobody"
    ])
  })

  it("loads no mail package with the root but the part of nodemailer that composes and sends", () => {
    assert.deepStrictEqual(loadedAtStart(sources), ["effect", "nodemailer"])
    const broken = new Map([
      ["index.ts", `export { A } from "./A.ts"\nexport type { B } from "./B.ts"`],
      [
        "A.ts",
        `import type { T } from "mailparser"\nimport { type U, V } from "imapflow"\nconst c = import("./C.ts")\nimport * as D from "./D.ts"`
      ],
      ["B.ts", `import "htmlparser2"`],
      ["C.ts", `import "htmlparser2"`],
      ["D.ts", `import { type X, type Y } from "smtp-server"\nexport {\n  E\n} from "nodemailer/lib/e"`]
    ])
    assert.deepStrictEqual(loadedAtStart(broken), ["imapflow", "nodemailer"])
  })

  it("has no cycles, not even of types", () => {
    assert.deepStrictEqual(cycles(sources), [])
    const broken = new Map([
      ["domain/A.ts", `import type { B } from "./B.ts"`],
      ["domain/B.ts", `import {\n  C,\n  D\n} from "./C.ts"`],
      ["domain/C.ts", `export { A } from "./A.ts"`]
    ])
    assert.deepStrictEqual(cycles(broken), ["domain/A.ts -> domain/B.ts -> domain/C.ts -> domain/A.ts"])
  })

  it("names files after what is in them", () => {
    assert.deepStrictEqual(vagueNames(sources), [])
    const broken = new Map(["driver/utils.ts", "domain/common/A.ts", "account/AccountManager.ts", "domain/MailError.ts"]
      .map((file) => [file, ""]))
    assert.deepStrictEqual(vagueNames(broken), ["driver/utils.ts", "domain/common/A.ts", "account/AccountManager.ts"])
  })

  it("takes time from the Clock and runs no Effect, except at the edges", () => {
    assert.deepStrictEqual(unmanagedCalls(sources), [])
    const broken = new Map([
      ["governor/A.ts", `/** Not Date.now. */\nconst at = Date.now() // setTimeout\nsetTimeout(f, 1)`],
      ["account/B.ts", `Effect.runPromiseExit(effect)\nnew Date(0)`],
      ["driver/imapflow.ts", "Date.now()"]
    ])
    assert.deepStrictEqual(unmanagedCalls(broken), [
      "governor/A.ts: Date.now",
      "governor/A.ts: setTimeout",
      "account/B.ts: runPromiseExit"
    ])
  })

  it(`has no file of more than ${longest} lines without a reason`, () => {
    assert.deepStrictEqual(tooLong(sources), [])
    assert.deepStrictEqual(tooLong(new Map([["domain/A.ts", "\n".repeat(longest) + "a\n"]])), [
      "domain/A.ts: 401 lines"
    ])
    const outdated = Object.keys(long).filter((file) => linesOf(sources.get(file) ?? "") <= longest)
    assert.deepStrictEqual(outdated, [], "needs its exception no more")
  })

  it("says at the top of each file what it is", () => {
    assert.deepStrictEqual(undocumented(sources), [])
    assert.deepStrictEqual(undocumented(new Map([["domain/A.ts", "import {} from \"effect\""]])), ["domain/A.ts"])
  })
})
