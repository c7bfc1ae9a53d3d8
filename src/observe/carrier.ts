// Selects how to watch a connection by its transport, and reports packets with their offsets in the TCP stream.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { announcementOf } from './announced.js'
import { watchConnection, type CopyLimits } from './connection.js'
import type { Transport, UnplacedReason } from './entries.js'
import { Placement, type PlacedListener } from './placement.js'
import { watchRecords } from './tls-records.js'
import { watchFrames } from './websocket-frames.js'

/** Watches a connection over any transport. Calls `onUnplaced` if its packets cannot be placed, now or later. */
export function watchTransport(
  connection: Duplex,
  request: IncomingMessage | undefined,
  transport: Transport,
  kept: CopyLimits,
  listener: PlacedListener
): void {
  if (transport === 'tcp' || transport === 'stream') {
    const headerBytes = announcementOf(connection)?.headerBytes ?? 0
    watchConnection(
      connection,
      kept,
      {
        onPacket: (direction, packet, ordinal) => {
          listener.onPacket(direction, packet, ordinal, true)
        },
        onMark: (direction, begin, offset, ordinal) => {
          listener.onMark(direction, begin, offset, ordinal)
        }
      },
      headerBytes
    )
    // Frames that contain only the proxy header are final.
    if (headerBytes > 0) listener.onMark('in', headerBytes, headerBytes, 0)
    return
  }
  let stopped = false
  const stop = (reason: UnplacedReason): void => {
    if (stopped) return
    stopped = true
    listener.onUnplaced(reason)
    placements.in.stop()
    placements.out.stop()
  }
  const onBacklog = (): void => {
    stop('backlog')
  }
  const placements = { in: new Placement('in', listener, onBacklog), out: new Placement('out', listener, onBacklog) }
  watchConnection(connection, kept, {
    onPacket: (direction, packet, ordinal) => {
      placements[direction].packet(packet, ordinal)
    },
    onMark: (direction, _begin, offset) => {
      placements[direction].mark(offset)
    }
  })
  const unplacedReason =
    request !== undefined
      ? watchFrames(connection, request, placements.in, placements.out, () => {
          stop('frames')
        })
      : watchRecords(connection, placements.in, placements.out, () => {
          stop('records')
        })
  if (unplacedReason !== undefined) stop(unplacedReason)
}
