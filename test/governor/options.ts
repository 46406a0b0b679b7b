/** What a governor is made with in tests, where it does not matter. */
export const governorOptions = {
  protocol: "imap",
  host: "imap.example.com",
  queue: 100,
  maxWaitMillis: 60_000,
  idleTimeToLiveMillis: 120_000,
  overtakings: 8,
  overtakingMillis: 1_000,
  shareLimit: 100,
  selects: 6,
  selectsMillis: 10_000,
  pressedMillis: 5_000,
  lingerMillis: 200
} as const
