// The cases of the comparison: same configuration and same expected results for both brokers.

import type { ComparedBroker, ComparedConfig } from './compared-brokers.js'
import { LOGIN_CASES } from './login-cases.js'
import { MESSAGE_CASES } from './message-cases.js'
import { TOPIC_CASES } from './topic-cases.js'
import { TRANSPORT_CASES } from './transport-cases.js'

/** A case. */
export interface ComparedCase {
  name: string
  config: ComparedConfig
  /** Runs the case on a broker; the result is compared. */
  run: (broker: ComparedBroker) => Promise<unknown>
  /** The expected result of both brokers. */
  expected: unknown
  /** The expected result of this broker if it differs on purpose, and the reason. */
  ours?: { expected: unknown; why: string }
}

export const CASES: readonly ComparedCase[] = [...LOGIN_CASES, ...TOPIC_CASES, ...MESSAGE_CASES, ...TRANSPORT_CASES]
