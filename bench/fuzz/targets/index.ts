// All targets.
import type { FuzzTarget } from '../target.js'
import { gzipTarget, pcapTarget, pcapngTarget } from './captures.js'
import { checksTarget } from './checked.js'
import { fragmentsTarget, headersTarget, ipTarget } from './headers.js'
import { joinTarget } from './joined.js'
import { observerTarget, placementTarget } from './observed.js'
import { connectTarget, proxyTarget } from './openings.js'
import { mqttTarget, webSocketTarget } from './packets.js'
import { decodedTarget, midstreamTarget, reassemblyTarget, streamsTarget } from './streams.js'
import { endlessTarget, extractTarget } from './whole.js'

/** In the order in which bytes meet them. */
export const TARGETS: readonly FuzzTarget[] = [
  pcapTarget,
  pcapngTarget,
  gzipTarget,
  headersTarget,
  ipTarget,
  fragmentsTarget,
  reassemblyTarget,
  streamsTarget,
  mqttTarget,
  webSocketTarget,
  decodedTarget,
  midstreamTarget,
  extractTarget,
  endlessTarget,
  observerTarget,
  placementTarget,
  joinTarget,
  connectTarget,
  proxyTarget,
  checksTarget
]
