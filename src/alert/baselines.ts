// Baselines of benign traffic in a model file.

import { RULES, type Baseline } from './rules.js'

/** For the gateway, and for each client. */
export interface Baselines {
  gateway: Baseline
  client: Baseline
}

/** Reads baselines from a model file. Returns undefined if they are invalid. */
export function baselinesFromJson(json: unknown): Baselines | undefined {
  if (!isObject(json) || !isBaseline(json.gateway) || !isBaseline(json.client)) return undefined
  return { gateway: json.gateway, client: json.client }
}

function isBaseline(json: unknown): json is Baseline {
  if (!isObject(json) || !isFiniteNumber(json.mean) || !isFiniteNumber(json.reference)) return false
  const { limits } = json
  return isObject(limits) && RULES.every(rule => isFiniteNumber(limits[rule]))
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null
}

function isFiniteNumber(json: unknown): json is number {
  return typeof json === 'number' && Number.isFinite(json)
}
