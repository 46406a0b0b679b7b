/**
 * HTML of strangers, as far as a quotation needs it: its text, and its elements in a form that stays inside the element
 * it is put into. Reads the markup in one pass, in time linear in its length. It keeps scripts, forms and foreign styles
 * out of what is sent; it is no sanitizer for showing mail in a browser.
 */

interface Tag {
  readonly name: string
  readonly closes: boolean
  readonly attributes: string
}

interface Visitor {
  readonly text: (text: string) => void
  readonly tag: (tag: Tag) => void
}

/** Elements whose content is not text to be read. */
const hidden = new Set(
  ["script", "style", "title", "head", "template", "noscript", "iframe", "object", "svg", "math", "select"]
)
/** Those whose content is not markup. */
const raw = new Set(["script", "style", "title", "textarea", "iframe", "noscript", "xmp", "noembed", "noframes"])

const visit = (html: string, { tag, text }: Visitor): void => {
  // of the same length, which toLowerCase is not
  const lower = html.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
  let at = 0
  while (at < html.length) {
    const open = html.indexOf("<", at)
    if (open > at || open < 0) text(html.slice(at, open < 0 ? html.length : open))
    if (open < 0) return
    if (html.startsWith("<!--", open)) {
      const end = html.indexOf("-->", open + 4)
      if (end < 0) return
      at = end + 3
    } else if (
      /[a-z]/.test(lower.charAt(open + 1)) || (html[open + 1] === "/" && /[a-z]/.test(lower.charAt(open + 2)))
    ) {
      const end = endOfTag(html, open)
      if (end < 0) return
      const closes = html[open + 1] === "/"
      const inner = html.slice(open + (closes ? 2 : 1), end)
      const name = (/^[^\s/>]+/.exec(inner)?.[0] ?? "").toLowerCase()
      tag({ name, closes, attributes: inner.slice(name.length) })
      at = end + 1
      if (!closes && raw.has(name)) {
        const close = lower.indexOf(`</${name}`, at)
        if (close < 0) return
        if (name === "textarea") text(html.slice(at, close))
        at = close
      }
    } else if (html[open + 1] === "!" || html[open + 1] === "?" || html[open + 1] === "/") {
      const end = html.indexOf(">", open)
      if (end < 0) return
      at = end + 1
    } else {
      text("<")
      at = open + 1
    }
  }
}

/** The ">" that ends a tag: one inside a quoted value does not. */
const endOfTag = (html: string, open: number): number => {
  let at = open + 1
  while (at < html.length) {
    const char = html[at]
    if (char === ">") return at
    if ((char === "\"" || char === "'") && /=\s*$/.test(html.slice(Math.max(open, at - 8), at))) {
      const end = html.indexOf(char, at + 1)
      if (end < 0) return -1
      at = end
    }
    at++
  }
  return -1
}

/** Text with nothing in it that HTML would read as markup. */
export const escapeHtml = (text: string): string =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;")

/** Plain text as HTML that shows it line for line. */
export const htmlOfText = (text: string): string =>
  escapeHtml(text.replace(/\r\n?/g, "\n").replace(/(?<!\n)\n+$/, "")).replace(/\n/g, "<br>\n")

const blocks = new Set(
  ("address article aside body center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr " +
    "li main nav ol p pre section table tbody tfoot thead tr ul").split(" ")
)
const paragraphs = new Set(["p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "ul", "ol", "table"])

/** Deeper quotations are written at this depth. */
const maxDepth = 20

/** A line of text, and how deep in quotations it stands. */
interface Line {
  readonly depth: number
  readonly text: string
}

const writtenLine = ({ depth, text }: Line): string => {
  const mark = ">".repeat(Math.min(depth, maxDepth))
  return mark === "" || text === "" ? mark + text : `${mark} ${text}`
}

/** What a reader sees, as text: blocks on lines of their own, quotations behind ">", images by their alternative text. */
export const textOfHtml = (html: string): string => {
  const lines: Array<Line> = []
  let line = ""
  // asked of the string itself, it would be copied together each time
  let blankAtEnd = true
  let depth = 0
  let skipping = 0
  let preformatted = 0
  const add = (text: string) => {
    line += text
    if (text !== "") blankAtEnd = text.endsWith(" ")
  }
  const reset = () => {
    line = ""
    blankAtEnd = true
  }
  /** Ends the line, and with `outer` puts one empty line of that depth below it. */
  const end = (outer?: number) => {
    const full = line.trimEnd()
    if (full !== "") lines.push({ depth, text: full })
    reset()
    const last = lines.at(-1)
    if (outer === undefined || last === undefined) return
    if (last.text !== "") lines.push({ depth: outer, text: "" })
    else if (last.depth > outer) lines[lines.length - 1] = { depth: outer, text: "" }
  }
  const write = (text: string) => {
    if (skipping > 0) return
    const decoded = decodeEntities(text)
    if (preformatted > 0) {
      const parts = decoded.replace(/\r\n?/g, "\n").split("\n")
      parts.forEach((part, index) => {
        if (index > 0) {
          lines.push({ depth, text: line })
          reset()
        }
        add(part)
      })
      return
    }
    const flat = decoded.replace(/[ \t\r\n\f]+/g, " ")
    add(blankAtEnd ? flat.trimStart() : flat)
  }
  visit(html, {
    text: write,
    tag: ({ attributes, closes, name }) => {
      if (hidden.has(name)) skipping = Math.max(0, skipping + (closes ? -1 : 1))
      // a head that is never closed must not hide the body
      if (name === "body") skipping = 0
      if (skipping > 0) return
      if (name === "br") {
        if (line.trim() === "") {
          lines.push({ depth, text: "" })
          reset()
        } else end()
      } else if (name === "hr") {
        end()
        add("----")
        end()
      } else if (name === "img") {
        const alt = attributesOf(attributes).find(([key]) => key === "alt")?.[1]
        if (alt !== undefined && alt !== "") write(alt)
      } else if (name === "td" || name === "th") {
        if (!blankAtEnd) add(" ")
      } else if (name === "blockquote") {
        const next = Math.max(0, depth + (closes ? -1 : 1))
        end(Math.min(depth, next))
        depth = next
      } else if (blocks.has(name)) end(paragraphs.has(name) ? depth : undefined)
      if (name === "li" && !closes) add("- ")
      if (name === "pre") preformatted = Math.max(0, preformatted + (closes ? -1 : 1))
    }
  })
  end()
  while (lines.at(-1)?.text === "") lines.pop()
  const first = lines.findIndex(({ depth, text }) => depth > 0 || text !== "")
  return lines.slice(first < 0 ? lines.length : first).map(writtenLine).join("\n")
}

/** Elements that are left out themselves, while what stands in them stays. */
const unwrapped = new Set(
  ("html body head form input button textarea option meta link base frame frameset noframes embed param applet " +
    "xmp noembed plaintext dialog audio video source track canvas label").split(" ")
)
const empty = new Set(["br", "hr", "img", "wbr", "col", "area"])

/** The content of an HTML document, to be put into another: every element is closed, and nothing in it runs or restyles. */
export const quotableHtml = (html: string): string => {
  const out: Array<string> = []
  const open: Array<string> = []
  const openByName = new Map<string, number>()
  let skipping = 0
  const close = () => {
    const name = open.pop()
    if (name === undefined) return
    openByName.set(name, (openByName.get(name) ?? 1) - 1)
    out.push(`</${name}>`)
  }
  visit(html, {
    text: (text) => {
      if (skipping === 0) out.push(text.replace(/</g, "&lt;").replace(/>/g, "&gt;"))
    },
    tag: ({ attributes, closes, name }) => {
      if (hidden.has(name)) skipping = Math.max(0, skipping + (closes ? -1 : 1))
      if (name === "body") skipping = 0
      if (skipping > 0 || hidden.has(name) || unwrapped.has(name) || !/^[a-z][a-z0-9]*$/.test(name)) return
      if (closes) {
        if ((openByName.get(name) ?? 0) === 0) return
        while (open.at(-1) !== name) close()
        close()
        return
      }
      const kept = attributesOf(attributes).filter(isHarmless).map(([key, value]) => ` ${key}="${escapeQuotes(value)}"`)
      out.push(`<${name}${kept.join("")}>`)
      if (empty.has(name)) return
      open.push(name)
      openByName.set(name, (openByName.get(name) ?? 0) + 1)
    }
  })
  while (open.length > 0) close()
  return out.join("").trim()
}

/** Names in lower case and values with their character references as they are. */
const attributesOf = (text: string): ReadonlyArray<readonly [string, string]> =>
  [...text.matchAll(/([^\s=>"'/<]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+)))?/g)]
    .map(([, name = "", double, single, bare]) => [name.toLowerCase(), double ?? single ?? bare ?? ""] as const)

const escapeQuotes = (value: string): string =>
  value.replace(/"/g, "&quot;").replace(/</g, "&lt;").replace(/>/g, "&gt;")

const urls = new Set("href src action formaction background cite data poster srcset longdesc usemap".split(" "))

const isHarmless = ([name, value]: readonly [string, string]): boolean => {
  if (!/^[a-z][a-z0-9:-]*$/.test(name) || name.startsWith("on") || name === "srcdoc" || name === "id") return false
  // oxlint-disable-next-line no-control-regex -- browsers pass over these in a scheme
  const plain = decodeEntities(value).replace(/[\s\x00-\x1f]+/g, "").toLowerCase()
  // what a browser knows and this table does not could spell anything
  if (name === "style" && /&[a-z][a-z0-9]*;/.test(plain)) return false
  if (urls.has(name) && /^[^/?#]*&[a-z][a-z0-9]*;/.test(plain)) return false
  if (name === "style") return !/expression\(|url\(|position:|@import|behavior:|-moz-binding/.test(plain)
  return !/^(?:javascript|vbscript|file):/.test(plain) &&
    (!plain.startsWith("data:") || plain.startsWith("data:image/"))
}

const entities: { readonly [name: string]: string | undefined } = {
  amp: "&",
  colon: ":",
  Tab: "\t",
  NewLine: "\n",
  lt: "<",
  gt: ">",
  quot: "\"",
  apos: "'",
  nbsp: " ",
  shy: "",
  zwnj: "",
  copy: "\u00a9",
  reg: "\u00ae",
  trade: "\u2122",
  deg: "\u00b0",
  euro: "\u20ac",
  pound: "\u00a3",
  sect: "\u00a7",
  hellip: "\u2026",
  mdash: "\u2014",
  ndash: "\u2013",
  lsquo: "\u2018",
  rsquo: "\u2019",
  ldquo: "\u201c",
  rdquo: "\u201d",
  bdquo: "\u201e",
  laquo: "\u00ab",
  raquo: "\u00bb",
  bull: "\u2022",
  middot: "\u00b7",
  times: "\u00d7",
  auml: "\u00e4",
  ouml: "\u00f6",
  uuml: "\u00fc",
  Auml: "\u00c4",
  Ouml: "\u00d6",
  Uuml: "\u00dc",
  szlig: "\u00df",
  eacute: "\u00e9",
  egrave: "\u00e8",
  agrave: "\u00e0",
  ccedil: "\u00e7",
  ntilde: "\u00f1",
  aring: "\u00e5",
  oslash: "\u00f8",
  aelig: "\u00e6"
}

/** Character references as characters; names that are not known stay as they are. */
const decodeEntities = (text: string): string =>
  text.includes("&")
    ? text.replace(
      /&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]{2,8}));?/gi,
      (whole, hex?: string, decimal?: string, name?: string) => {
        if (name !== undefined) return Object.hasOwn(entities, name) ? entities[name] ?? whole : whole
        const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
        return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : "\ufffd"
      }
    )
    : text
