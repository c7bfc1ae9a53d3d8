// All fuzz targets.
import type { FuzzTarget } from '../target.js'
import { gzipTarget, pcapTarget, pcapngTarget } from './captures.js'
import { checksTarget } from './packet-checks.js'
import { fragmentsTarget, headersTarget, ipTarget } from './headers.js'
import { joinTarget } from './live-join.js'
import { observerTarget, placementTarget } from './observe.js'
import { connectTarget, proxyTarget } from './connection-start.js'
import { mqttTarget, webSocketTarget } from './packets.js'
import { decodedTarget, midstreamTarget, reassemblyTarget, streamsTarget } from './streams.js'
import { endlessTarget, extractTarget } from './end-to-end.js'

/** In pipeline order. */
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
