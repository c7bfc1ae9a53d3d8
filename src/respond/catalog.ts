// The responses.

import { ban } from './ban.js'
import { disconnect } from './disconnect.js'
import { observe } from './observe.js'
import type { Response } from './response.js'

/** Every response by its name in the configuration. */
export const RESPONSES = Object.freeze({ observe, disconnect, ban }) satisfies Readonly<Record<string, Response>>

/** Name of a response. */
export type ResponseName = keyof typeof RESPONSES
