// List of all kinds of devices.

import type { DeviceKind } from '../device.js'
import { camera } from './cameras.js'
import { assistant, dashboard, flow, recorder } from './flows.js'
import { machine, plant } from './industry.js'
import { owntracks } from './phones.js'
import { gateway } from './radio.js'
import { dht11, esphome, sleeper } from './sensors.js'
import { meter, relay } from './switches.js'
import { tasmota } from './tasmota.js'
import { flaky, script, watch } from './unsteady.js'
import { zigbee } from './zigbee.js'

/** All kinds, in the order of --list. */
export const DEVICE_KINDS: readonly DeviceKind[] = [
  dht11,
  esphome,
  sleeper,
  zigbee,
  tasmota,
  assistant,
  relay,
  meter,
  camera,
  owntracks,
  flow,
  recorder,
  dashboard,
  flaky,
  script,
  plant,
  machine,
  gateway,
  watch
]

/** Returns the kind with this name; throws if there is none. */
export function deviceKind(name: string): DeviceKind {
  const kind = DEVICE_KINDS.find(kind => kind.name === name)
  if (kind === undefined) throw new Error(`Unknown device kind ${name}`)
  return kind
}
