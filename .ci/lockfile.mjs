// Completes package-lock.json after `npm install` against a registry that holds the packages of one platform only:
// adds an entry for every optional platform package that npm left out, so that `npm ci` accepts the file everywhere.
// Run by hand after changing dependencies; it changes nothing where nothing is missing.
import { readFileSync, writeFileSync } from "node:fs"

const file = new URL("../package-lock.json", import.meta.url)
const lock = JSON.parse(readFileSync(file, "utf8"))
const operatingSystems = [
  "aix",
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32"
]
const processors = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64", "wasm32"]

let added = 0
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (
      lock.packages[`${path}/node_modules/${name}`] !== undefined || lock.packages[`node_modules/${name}`] !== undefined
    ) continue
    const words = name.split(/[-/]/)
    const os = operatingSystems.filter((word) => words.includes(word))
    const cpu = processors.filter((word) => words.includes(word)).slice(0, 1)
    lock.packages[`node_modules/${name}`] = {
      version: version.replace(/^[\^~]/, ""),
      ...(cpu.length > 0 ? { cpu } : {}),
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
      ...(os.length > 0 ? { os } : {})
    }
    added++
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a < b ? -1 : 1))
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`${added} entries added`)
