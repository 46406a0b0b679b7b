/**
 * The results of a suite as a picture: a group of bars for each case, the library before its peers, limits pale, the
 * quartiles as a line across the end of the bar. It brings its own background, so it can be read on any page.
 */
import type { CaseResult, SubjectResult, SuiteResult } from "./Harness.ts"
import { number, unitOf } from "./Report.ts"

const width = 860
const margin = 16
const nameWidth = 300
/** For the figure behind the longest bar. */
const figureWidth = 90
const barWidth = width - 2 * margin - nameWidth - figureWidth
const barHeight = 13
const step = 18
const classes: Readonly<Record<SubjectResult["role"], string>> = { library: "own", peer: "peer", limit: "limit" }

const style = `text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px } .head { font-weight: 600 } .note { fill: #59636e }
.paper { fill: #ffffff; stroke: #d1d9e0 } .spread { stroke: #1f2328 }
.own { fill: #1f6feb } .peer { fill: #8c959f } .limit { fill: #dfe3e8 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .note { fill: #9198a1 } .paper { fill: #0d1117; stroke: #3d444d } .spread { stroke: #f0f6fc }
.own { fill: #4493f8 } .peer { fill: #6e7681 } .limit { fill: #2a313c }
}`

export const toChart = (suite: SuiteResult): string => {
  const parts: Array<string> = []
  let y = margin
  const line = (kind: string, text: string, height: number) => {
    parts.push(`<text class="${kind}" x="${margin}" y="${y + 12}">${escape(text)}</text>`)
    y += height
  }
  for (const text of wrapped(suite.question)) line("title", text, 20)
  line("note", `${suite.server}. Shorter is better; each group has a scale of its own.`, 18)
  line("note", "Bars are medians, lines across their ends quartiles. Pale: limits, which are no libraries.", 28)
  for (const test of suite.cases) {
    line("head", `${test.name} (${unitOf(test)})`, 20)
    const rows = bars(test, y)
    parts.push(...rows)
    y += test.subjects.filter(({ time }) => time !== undefined).length * step + 14
  }
  const height = y + margin - 14
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${
    escape(suite.question)
  }">
<style>
${style}
</style>
<rect class="paper" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="6"/>
${parts.join("\n")}
</svg>
`
}

const bars = (test: CaseResult, top: number): ReadonlyArray<string> => {
  const shown = test.subjects.flatMap(({ name, role, time }) => time === undefined ? [] : [{ name, role, time }])
  const longest = Math.max(...shown.map(({ time }) => time.high))
  const left = margin + nameWidth
  return shown.flatMap(({ name, role, time }, index) => {
    const y = top + index * step
    const middle = y + barHeight / 2
    const at = (value: number) => left + Math.round((Math.max(0, value) / longest) * barWidth)
    return [
      `<text x="${left - 8}" y="${y + 11}" text-anchor="end">${escape(name)}</text>`,
      `<rect class="${classes[role]}" x="${left}" y="${y}" width="${
        Math.max(2, at(time.median) - left)
      }" height="${barHeight}"/>`,
      `<line class="spread" x1="${at(time.low)}" x2="${at(time.high)}" y1="${middle}" y2="${middle}"/>`,
      `<text x="${at(time.high) + 8}" y="${y + 11}">${number(time.median)}</text>`
    ]
  })
}

/** Lines of about the width of the picture: SVG breaks none. */
const wrapped = (text: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length > 110) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\"", "&quot;")
