import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { htmlOfText, quotableHtml, textOfHtml } from "../../src/domain/Html.ts"

describe("HTML as text", () => {
  const table: ReadonlyArray<readonly [string, string]> = [
    ["<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree"],
    ["a &amp; b &#228;&#xe4;&nbsp;&hellip; &unknown;", "a & b \u00e4\u00e4 \u2026 &unknown;"],
    ["<style>p{}</style><script>1<2</script><title>t</title>text", "text"],
    ["<!-- <p>hidden</p> -->seen", "seen"],
    ["<ul><li>a</li><li>b</li></ul>", "- a\n- b"],
    ["<div>a</div><blockquote><div>b</div><blockquote>c</blockquote></blockquote>d", "a\n\n> b\n>\n>> c\n\nd"],
    ["<pre>a\n  b</pre>", "a\n  b"],
    ["<img alt='a picture'> 1 < 2", "a picture 1 < 2"],
    ["<a title=\"x>y\" href='z'>link</a>", "link"],
    ["<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"],
    ["\u0130<b>x</b>", "\u0130x"],
    ["", ""]
  ]
  for (const [html, text] of table) {
    it(`reads ${JSON.stringify(html)}`, () => assert.strictEqual(textOfHtml(html), text))
  }
})

describe("HTML to be quoted", () => {
  const table: ReadonlyArray<readonly [string, string, string]> = [
    ["closes what is open", "<div><p>a", "<div><p>a</p></div>"],
    ["cannot close what is around it", "a</div></blockquote></body></html>b", "ab"],
    ["is the body of a document", "<html><head><title>t</title><base href=x></head><body>b</body></html>", "b"],
    ["runs nothing", "<script>x</script><p onclick=\"x\">a</p><iframe src=x></iframe>", "<p>a</p>"],
    ["leads to no script", "<a href=\" java&#115;cript:x\">a</a>", "<a>a</a>"],
    ["restyles nothing", "<style>*{}</style><p style='position:fixed'>a</p>", "<p>a</p>"],
    [
      "keeps pictures and links",
      "<img src=\"cid:1@x\"><a href='https://e.test/?a=1&amp;b=2'>b</a>",
      "<img src=\"cid:1@x\"><a href=\"https://e.test/?a=1&amp;b=2\">b</a>"
    ],
    ["comments nothing out", "a<!-- b", "a"],
    ["asks for no input", "<form action=x><input name=a>text</form>", "text"],
    ["has no quote left open", "<p title='a\"b'>c</p>", "<p title=\"a&quot;b\">c</p>"]
  ]
  for (const [title, html, expected] of table) {
    it(title, () => assert.strictEqual(quotableHtml(html), expected))
  }

  const pieces = Schema.Array(Schema.Union([
    Schema.String,
    Schema.Literals([
      "<",
      ">",
      "\"",
      "'",
      "<p>",
      "</p>",
      "</blockquote>",
      "<!--",
      "-->",
      "<script>",
      "</script",
      "<a href=",
      "<div ",
      "/>",
      "</"
    ])
  ]))
  it.prop("is balanced, whatever it is made of", [pieces], ([given]) => {
    const html = quotableHtml(given.join(""))
    const open: Array<string> = []
    for (const [, slash, name = ""] of html.matchAll(/<(\/?)([a-z0-9]+)(?:\s[^<>]*)?>/g)) {
      if (slash === "/") assert.strictEqual(open.pop(), name)
      else if (!["br", "hr", "img", "wbr", "col", "area"].includes(name)) open.push(name)
    }
    assert.deepStrictEqual(open, [])
    assert.notMatch(html, /<script|<!--/)
    assert.strictEqual(quotableHtml(html), html)
  })

  const signs = Schema.Array(Schema.Literals([">", ">>", "<", "&", "&gt;", "\"", "-", " ", "a", "\n", "\u00a0"]))
  it.prop("shows plain text as it was, line for line", [Schema.Array(Schema.String), signs], ([lines, signs]) => {
    const flat = (line: string) => line.replace(/\s+/g, " ").trim()
    for (const text of [lines.map(flat).join("\n"), signs.join("").split("\n").map(flat).join("\n")]) {
      const shown = text.replace(/^\n+|\n+$/g, "")
      assert.strictEqual(textOfHtml(htmlOfText(text)), shown)
    }
  })

  it("tells text of \">\" from an empty line of a quotation", () => {
    assert.strictEqual(textOfHtml("&gt;"), ">")
    assert.strictEqual(textOfHtml("<p>a</p><p>&gt;&gt;</p><p>b</p>"), "a\n\n>>\n\nb")
    assert.strictEqual(textOfHtml("<blockquote>a<br><br>b<br><br></blockquote>c"), "> a\n>\n> b\n\nc")
  })

  it("is read in time linear in its length", () => {
    for (
      const piece of ["<b>", "</x>", "<", "<!--", "<a b=\"", "&", "<style>", "<p a=' ", " ", "<blockquote>", "<pre>\n"]
    ) {
      quotableHtml(piece.repeat(20_000))
      textOfHtml(piece.repeat(20_000))
    }
  }, 5000)
})

describe("schemes written with character references", () => {
  const written = ["javascript&colon;x", "java&Tab;script:x", "java&NewLine;script&colon;x", "java&unknown;script:x"]
  for (const url of written) {
    it(`are seen through: ${url}`, () => assert.strictEqual(quotableHtml(`<a href="${url}">a</a>`), "<a>a</a>"))
  }

  it("do not cost a harmless address its query", () =>
    assert.strictEqual(
      quotableHtml(`<a href="https://example.com/?a=1&amp;b=&foo;">a</a>`),
      `<a href="https://example.com/?a=1&amp;b=&foo;">a</a>`
    ))
})
