/**
 * Three projects: `unit` needs nothing, `loopback` opens sockets on 127.0.0.1, `live` starts Dovecot and Postfix.
 * An unhandled rejection or error anywhere fails the run, as is the runner's default.
 */
import { defineConfig } from "vitest/config"

const root = new URL("..", import.meta.url).pathname

export default defineConfig({
  resolve: { conditions: ["effect-mail-source"] },
  ssr: { resolve: { conditions: ["effect-mail-source"] } },
  test: {
    root,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts", "docs/examples/*.test.ts"],
          exclude: ["test/loopback/**", "test/live/**"]
        }
      },
      { extends: true, test: { name: "loopback", include: ["test/loopback/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "live",
          include: ["test/live/**/*.test.ts"],
          globalSetup: ["test/live/announce.ts"],
          // One file after another: each starts servers of its own, and they share the machine with the tests.
          fileParallelism: false
        }
      }
    ]
  }
})
