// One table of cases: the same configuration, the same questions and the same answers on both brokers.

import type { ComparedBroker, ComparedConfig } from './compared-brokers.js'
import { LOGIN_CASES } from './login-cases.js'
import { MESSAGE_CASES } from './message-cases.js'
import { TOPIC_CASES } from './topic-cases.js'
import { TRANSPORT_CASES } from './transport-cases.js'

/** A case. */
export interface ComparedCase {
  name: string
  config: ComparedConfig
  /** Asks a broker; what it returns is compared. */
  run: (broker: ComparedBroker) => Promise<unknown>
  /** What both answer. */
  expected: unknown
  /** What this broker answers where it does better on purpose, and why. */
  ours?: { expected: unknown; why: string }
}

export const CASES: readonly ComparedCase[] = [...LOGIN_CASES, ...TOPIC_CASES, ...MESSAGE_CASES, ...TRANSPORT_CASES]
