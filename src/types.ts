// The vocabulary of the plug-in: what flows from stage to stage.

/** A frame as it stands in a capture. */
export interface CapturedFrame {
  /** Epoch time, whole seconds. */
  seconds: number
  /** Nanoseconds within the second; two integers because nanoseconds since 1970 do not fit one double. */
  nanoseconds: number
  /** LINKTYPE_ number of the interface (tcpdump.org/linktypes.html). */
  linkType: number
  /** Length on the wire, bytes. */
  wireLength: number
  /** What was captured of it: never more than `wireLength`, often less. */
  bytes: Buffer
}

/** Which side sent: `in` is client to broker, `out` is broker to client. */
export type Direction = 'in' | 'out'

/** How the MQTT columns of a record came about. */
export type JoinKind = 'exact' | 'tls' | 'websocket' | 'decoded' | 'none'

/** One complete MQTT control packet, as far as the features need it. */
export interface MqttPacket {
  /** First byte of the fixed header: type and flags. */
  header: number
  /** Remaining length, bytes [MQTT-2.2.3]. */
  remainingLength: number
  /** Fixed header + remaining length, bytes. */
  size: number
  /** Offset in the stream, in bytes since its first, at which the packet ends (exclusive). */
  end: number
  /** Topic of a PUBLISH or first filter of a SUBSCRIBE or UNSUBSCRIBE, length in bytes; null for other types. */
  topicLength: number | null
  /** The topic's bytes as far as they were kept. */
  topic: Uint8Array | null
  /** Application payload of a PUBLISH as far as it was kept; null for other types. */
  payload: Uint8Array | null
  /** Full length of that payload, bytes. */
  payloadLength: number
  /** What the bodies of CONNECT, CONNACK and SUBSCRIBE say, packed by `decode/mqtt-facts.ts`; 32 bits. */
  facts: number
  /** Hash of a CONNECT's client id, 32 bits; 0 for other types and for an empty client id. */
  clientHash: number
  /** Hash of a CONNECT's will, see `decode/message-hash.ts`; 0 where there is none, and for other types. */
  willHash: number
}

/** A control packet of which only a part has come. */
export interface PacketBegun {
  /** First byte of the fixed header. */
  header: number
  /** As in {@link MqttPacket}; null as long as it is not known. */
  topic: Uint8Array | null
  /** Full length of a PUBLISH's payload, bytes; null as long as it is not known, and for other types. */
  payloadLength: number | null
}

/** Numbers of a tap's life that the status shows. */
export interface TapSummary {
  /** Frames that passed the filter, as tcpdump counts them; undefined where it did not say. */
  captured?: number
  /** Frames that the kernel dropped for want of room. */
  dropped?: number
}

/** What to capture. */
export interface TapOptions {
  /** TCP ports to watch. */
  ports: readonly number[]
  /** Bytes kept of each frame; 0 keeps whole frames. */
  snapLength: number
  /** Ends the attempt to open. */
  signal?: AbortSignal
}

/** A running capture. */
export interface TapSession {
  /**
   * A capture file's bytes as they arrive; ends with the tap, errors with an `OperatorError` where there is a remedy.
   */
  readonly bytes: NodeJS.ReadableStream
  /** Stops the capture, and the far tcpdump with it; resolves when both are gone. Safe to call twice. */
  close(): Promise<TapSummary>
}

/** Where captured bytes come from: opens a capture, resolves when frames are surely being seen. */
export type OpenTap = (options: TapOptions) => Promise<TapSession>

/** An address in text form (IPv4-mapped IPv6 written as IPv4) and a port. */
export interface Endpoint {
  address: string
  port: number
}

/** The fields of an IP header that the features need. */
export interface IpFields {
  source: string
  destination: string
  /** Total length, bytes (IPv6: payload length + 40). */
  length: number
  /** Don't fragment, more fragments, reserved bit; null under IPv6. */
  dontFragment: number | null
  moreFragments: number | null
  reservedBit: number | null
  /** Time to live or hop limit. */
  ttl: number
}

/** The fields of a TCP header that the features and the join need. */
export interface TcpFields {
  sourcePort: number
  destinationPort: number
  sequence: number
  acknowledgement: number
  /** Twelve bits: 3 reserved, NS, CWR, ECE, URG, ACK, PSH, RST, SYN, FIN. */
  flags: number
  /** As it stands in the header, unscaled. */
  window: number
}

/** A captured frame that carries TCP on a watched port, decoded. */
export interface TcpFrame {
  /** Number in its capture, from 1, counting every frame of the capture. */
  number: number
  seconds: number
  nanoseconds: number
  /** Length on the wire, bytes. */
  wireLength: number
  ip: IpFields
  tcp: TcpFields
  /** Segment payload on the wire, bytes: from the IP length, not from what was captured. */
  payloadLength: number
  /** What was captured of it. */
  payload: Uint8Array
}

/**
 * A TCP frame placed in its stream. Offsets count the bytes of one direction since the first after
 * the SYN; where the SYN was not seen, since the first byte captured.
 */
export interface StreamFrame {
  frame: TcpFrame
  /** The connection; the same object for all its frames, both directions. A reused tuple gets a new one. */
  stream: TcpStream
  direction: Direction
  /** Seconds since the previous frame of the stream; 0 for its first. */
  delta: number
  /** Mean delta of the last 20 records before this one, whatever their stream; 0 for the first. */
  l20Average: number
  /**
   * The contiguous part of the direction's stream before and after this frame; equal where the frame completes nothing.
   */
  from: number
  to: number
  /** The bytes from `from` to `to`, in order, as far as captured: a missing part is a null of known length. */
  chunks: readonly StreamChunk[]
}

/** A stretch of a stream: bytes, or a gap that was acknowledged but never captured. */
export interface StreamChunk {
  start: number
  length: number
  /** null: a gap, or cut off by the snap length. */
  bytes: Uint8Array | null
  /** A gap: the segments that held these bytes were never captured. */
  lost?: true
  /** Bytes of an earlier frame, which waited for a gap that is given up only now. */
  overdue?: true
}

/** A TCP connection as the tap sees it. */
export interface TcpStream {
  /** From 0, in order of appearance. */
  readonly id: number
  readonly client: Endpoint
  readonly broker: Endpoint
  /** Whether each direction's SYN was seen, so that its offsets count from the true start. */
  readonly synced: Record<Direction, boolean>
  /** Whether a FIN or RST was seen in each direction. */
  readonly ended: Record<Direction, boolean>
}
