// Prints one line about a run of vitest from the file its JSON reporter wrote. A test file that could not be loaded has
// no tests to count and counts as one that failed.
import { readFileSync } from "node:fs"

const report = JSON.parse(readFileSync(process.argv[2], "utf8"))
const count = { passed: 0, failed: 0, skipped: 0 }
for (const file of report.testResults) {
  if (file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")) count.failed++
  for (const test of file.assertionResults) {
    if (test.status === "passed") count.passed++
    else if (test.status === "failed") count.failed++
    else count.skipped++
  }
}
console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
if (count.failed > 0 || !report.success) process.exitCode = 1
