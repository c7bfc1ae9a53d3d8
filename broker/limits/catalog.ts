// All limits by name, with the log text for exceeding each. docs/limits.md lists the same limits.

/** Log text of each limit. The names are those of the counters; most are also those of the settings. */
export const LIMITS = Object.freeze({
  packetSize: 'announced a packet that is too large: disconnected',
  connectTimeout: 'sent no CONNECT in time: disconnected',
  connections: 'connected while the broker was at its connection limit: refused',
  maxConnections: 'connected while the listener was at its connection limit: refused',
  connectionsPerAddress: 'has too many connections: connection refused',
  messagesPerSecond: 'sends messages too fast: throttled',
  bytesPerSecond: 'sends bytes too fast: throttled',
  queuedMessages: 'has too many queued messages: message dropped',
  queuedBytes: 'has too many queued bytes: message dropped',
  retainedMessages: 'published more retained messages than allowed: message not retained',
  retainedBytes: 'published more bytes of retained messages than allowed: message not retained',
  sessions: 'disconnected while there were too many persistent sessions: session ended',
  unread: 'does not read its messages: disconnected',
  inflightMessages: 'sent too many QoS 2 messages without releasing them: disconnected',
  subscriptionsPerClient: 'has too many subscriptions: subscription refused',
  topicsPerClient: 'publishes to too many topics: message refused',
  keepalive: 'requested too long a keep-alive: refused or shortened',
  loginsPerAddress: 'failed to log in too often: refused',
  loginsPerUser: 'used a username with too many failed logins: refused',
  login: 'failed to log in: refused',
  proxyHeader: 'is not a trusted proxy, or sent no PROXY header: disconnected',
  tlsHandshake: 'did not complete a TLS handshake: disconnected',
  webSocketHandshake: 'sent an invalid or disallowed WebSocket request: refused',
  malformed: 'sent invalid MQTT: disconnected',
  deniedPublish: 'may not publish to this topic: message dropped',
  deniedSubscribe: 'may not subscribe to this topic filter: refused',
  deniedDelivery: 'may not read a topic that it subscribed to: message not delivered',
  banned: 'is banned: refused'
})

/** Limits that explain why a message is missing and do not indicate an attack. */
export const DENIALS: ReadonlySet<LimitName> = new Set(['deniedPublish', 'deniedSubscribe', 'deniedDelivery'])

/** Name of a limit. */
export type LimitName = keyof typeof LIMITS
