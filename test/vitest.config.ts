/** Three projects: `unit` needs nothing, `loopback` opens sockets on 127.0.0.1, `live` starts Dovecot and Postfix. */
import { defineConfig } from "vitest/config"

const project = (name: string, include: Array<string>, exclude: Array<string> = []) => ({
  extends: true as const,
  test: { name, include, exclude, root: new URL("..", import.meta.url).pathname }
})

export default defineConfig({
  resolve: { conditions: ["effect-mail-source"] },
  ssr: { resolve: { conditions: ["effect-mail-source"] } },
  test: {
    projects: [
      project("unit", ["test/**/*.test.ts"], ["test/loopback/**", "test/live/**"]),
      project("loopback", ["test/loopback/**/*.test.ts"]),
      project("live", ["test/live/**/*.test.ts"])
    ]
  }
})
