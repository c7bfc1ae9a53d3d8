// Types that the stages of the plug-in share.

/** A frame as captured. */
export interface CapturedFrame {
  /** Epoch time, whole seconds. */
  seconds: number
  /** Nanoseconds within the second; two integers because nanoseconds since 1970 do not fit one double. */
  nanoseconds: number
  /** LINKTYPE_ number of the interface (tcpdump.org/linktypes.html). */
  linkType: number
  /** Length on the wire, bytes. */
  wireLength: number
  /** The captured bytes: at most `wireLength`, often fewer. */
  bytes: Buffer
}

/** Direction of a packet: `in` is client to broker, `out` is broker to client. */
export type Direction = 'in' | 'out'

/** How the MQTT columns of a record were obtained. */
export type JoinKind = 'exact' | 'tls' | 'websocket' | 'decoded' | 'none'

/** One complete MQTT control packet, with the fields that the features need. */
export interface MqttPacket {
  /** First byte of the fixed header: type and flags. */
  header: number
  /** Remaining length, bytes [MQTT-2.2.3]. */
  remainingLength: number
  /** Fixed header + remaining length, bytes. */
  size: number
  /** Offset in the stream of the packet's end (exclusive), in bytes from the stream's first byte. */
  end: number
  /** Length in bytes of a PUBLISH's topic, or of the first filter of a SUBSCRIBE or UNSUBSCRIBE; else null. */
  topicLength: number | null
  /** The topic's bytes, possibly truncated. */
  topic: Uint8Array | null
  /** Application payload of a PUBLISH, possibly truncated; null for other types. */
  payload: Uint8Array | null
  /** Full length of the payload, bytes. */
  payloadLength: number
  /** Fields of CONNECT, CONNACK and SUBSCRIBE bodies, packed by `decode/mqtt-facts.ts`; 32 bits. */
  facts: number
  /** Hash of a CONNECT's client id, 32 bits; 0 for other types and for an empty client id. */
  clientHash: number
  /** Hash of a CONNECT's will, see `decode/message-hash.ts`; 0 without a will, and for other types. */
  willHash: number
}

/** A control packet that is only partly received. */
export interface PartialPacket {
  /** First byte of the fixed header. */
  header: number
  /** As in {@link MqttPacket}; null until known. */
  topic: Uint8Array | null
  /** Full length of a PUBLISH's payload, bytes; null until known, and for other types. */
  payloadLength: number | null
}

/** Statistics of a tap for the status. */
export interface TapSummary {
  /** Frames that passed the filter, as tcpdump counts them; undefined if it did not report them. */
  captured?: number
  /** Frames that the kernel dropped because its buffer was full. */
  dropped?: number
}

/** Options of a capture. */
export interface CaptureOptions {
  /** TCP ports to watch. */
  ports: readonly number[]
  /** Bytes captured of each frame; 0 captures whole frames. */
  snapLength: number
  /** Aborts opening. */
  signal?: AbortSignal
}

/** A running capture. */
export interface TapSession {
  /**
   * The bytes of a capture file as they arrive. Ends with the tap; errors with an `OperatorError` if there is a remedy.
   */
  readonly bytes: NodeJS.ReadableStream
  /** Stops the capture and its tcpdump, and resolves when both have ended. May be called twice. */
  close(): Promise<TapSummary>
}

/** Opens a capture; resolves once frames are being captured. */
export type OpenTap = (options: CaptureOptions) => Promise<TapSession>

/** An address as text (IPv4-mapped IPv6 as IPv4) and a port. */
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
  /** As in the header, unscaled. */
  window: number
}

/** A captured frame that carries TCP on a watched port, decoded. */
export interface TcpFrame {
  /** Number in its capture, from 1. Counts every captured frame. */
  number: number
  seconds: number
  nanoseconds: number
  /** Length on the wire, bytes. */
  wireLength: number
  ip: IpFields
  tcp: TcpFields
  /** Payload length on the wire, bytes. Calculated from the IP length, so truncation does not affect it. */
  payloadLength: number
  /** The captured part of the payload. */
  payload: Uint8Array
}

/**
 * A TCP frame placed in its stream. Offsets count the bytes of one direction from the first after the SYN, or from the
 * first captured byte if the SYN was not captured.
 */
export interface StreamFrame {
  frame: TcpFrame
  /** The connection: one object for all its frames in both directions. A reused tuple gets a new object. */
  stream: TcpStream
  direction: Direction
  /** Seconds since the previous frame of the stream; 0 for its first. */
  delta: number
  /** Mean delta of the 20 records before this one, across all streams; 0 for the first. */
  l20Average: number
  /** The contiguous end of the direction's stream before and after this frame. Equal if the frame completes nothing. */
  from: number
  to: number
  /** The captured bytes from `from` to `to`, in order. A missing part is a chunk without bytes. */
  chunks: readonly StreamChunk[]
}

/** A range of a stream: bytes, or a gap that was acknowledged but not captured. */
export interface StreamChunk {
  start: number
  length: number
  /** null for a gap, or if cut off by the snap length. */
  bytes: Uint8Array | null
  /** Whether this is a gap: segments that were never captured. */
  lost?: true
  /** Whether these bytes are from an earlier frame, released only now because a gap before them timed out. */
  overdue?: true
}

/** A TCP connection as the tap sees it. */
export interface TcpStream {
  /** From 0, in order of appearance. */
  readonly id: number
  readonly client: Endpoint
  readonly broker: Endpoint
  /** Whether the SYN of each direction was captured, so that its offsets count from the true start. */
  readonly synced: Record<Direction, boolean>
  /** Whether a FIN or RST was captured in each direction. */
  readonly ended: Record<Direction, boolean>
}
