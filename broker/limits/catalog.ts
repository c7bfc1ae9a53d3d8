// Every limit by its name: what is done to whoever goes beyond, as the log says it. docs/limits.md lists the same.

/** What happens at each limit. The names are those of the counters; most are also those of the settings. */
export const LIMITS = Object.freeze({
  packetSize: 'announced a packet that is too large: disconnected',
  connectTimeout: 'sent no CONNECT in time: disconnected',
  connections: 'came when the broker had no room for another connection: refused',
  maxConnections: 'came when the listener had no room for another connection: refused',
  connectionsPerAddress: 'has too many connections: one more refused',
  messagesPerSecond: 'sends messages too fast: read more slowly',
  bytesPerSecond: 'sends bytes too fast: read more slowly',
  queuedMessages: 'has too many messages waiting for it: one more dropped',
  queuedBytes: 'has too many bytes waiting for it: a message dropped',
  retainedMessages: 'would keep one retained message too many: not retained',
  retainedBytes: 'would keep too many bytes of retained messages: not retained',
  sessions: 'left a session when too many last already: ended',
  unread: 'does not read what waits for it: disconnected',
  inflightMessages: 'sent too many messages of QoS 2 without releasing them: disconnected',
  subscriptionsPerClient: 'holds too many subscriptions: one more refused',
  topicsPerClient: 'publishes to too many topics: one more refused',
  keepalive: 'asked for too long a keep-alive: refused or shortened',
  loginsPerAddress: 'failed to log in too often: refused',
  loginsPerUser: 'tried a username for which too many logins failed: refused',
  login: 'failed to log in: refused',
  proxyHeader: 'is no trusted proxy, or sent no PROXY header: disconnected',
  tlsHandshake: 'did not complete a TLS handshake: disconnected',
  webSocketHandshake: 'asked for no WebSocket that is allowed: refused',
  malformed: 'sent what is not MQTT: disconnected',
  deniedPublish: 'may not publish to a topic: message dropped',
  deniedSubscribe: 'may not subscribe to a topic filter: refused',
  deniedDelivery: 'may not read a topic that it subscribed to: message not delivered',
  banned: 'is banned: refused'
})

/** What an operator looks for when something does not arrive, and no sign of an attack. */
export const DENIALS: ReadonlySet<LimitName> = new Set(['deniedPublish', 'deniedSubscribe', 'deniedDelivery'])

/** Name of a limit. */
export type LimitName = keyof typeof LIMITS
