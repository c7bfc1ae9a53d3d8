// All directives of mosquitto 2.0 and their support: used by the parser, the notes and the documentation.

/**
 * How a directive is supported. `followed`: as in mosquitto. `partly`: with the differences in `here`. `not followed`:
 * has another effect, see `here`. `not needed`: has no effect that a client could see. `refused`: the broker does not
 * start, because ignoring the directive would allow more access than intended.
 */
export type SupportLevel = 'followed' | 'partly' | 'not followed' | 'not needed' | 'refused'

/** The type of a directive's value: `text` is the rest of the line, the others are one word. */
export type Form = { kind: 'text' | 'flag' | 'duration' } | { kind: 'number'; min: number; max: number }

/** One directive. */
export interface Directive {
  /** The name; with `*` at the end, every name with this prefix. */
  name: string
  /**
   * What the directive applies to: the broker; the listener above it; `security`: the listener above it with
   * per_listener_settings, else the broker; the bridge above it.
   */
  of: 'broker' | 'listener' | 'security' | 'bridge'
  form: Form
  support: SupportLevel
  /** The effect in Artemis, as a sentence. */
  here: string
  /** The matching setting of artemis.yaml, relative to `listeners[n]`, `auth` or the file. */
  key?: string
  /** The value that matches the behaviour of Artemis. */
  matchingValue?: string
  /** A listener with this directive is not opened, because ignoring it would allow more access than intended. */
  closesListener?: true
  /** Before the first listener, this directive opens the default listener on port 1883. */
  opensDefault?: true
  /** May be given several times. */
  repeats?: true
}

const TEXT: Form = { kind: 'text' }
const FLAG: Form = { kind: 'flag' }
const DURATION: Form = { kind: 'duration' }

const OPENSSL = 'Node.js decides: it has its own OpenSSL.'
const STANDARD_ERROR = 'The log goes to standard error, under systemd to the journal (journalctl -u artemis).'

/** The table, in the order of the documentation. */
export const DIRECTIVES: readonly Directive[] = [
  // Listeners.
  row(
    'listener',
    'broker',
    TEXT,
    'followed',
    'Opens a port, on all addresses if none is given. Unix sockets (`listener 0 PATH`) are not opened.',
    { repeats: true }
  ),
  row('port', 'broker', number(1, 65_535), 'followed', 'Port of the default listener.'),
  row('bind_address', 'broker', TEXT, 'followed', 'Address of the default listener.'),
  row(
    'bind_interface',
    'listener',
    TEXT,
    'followed',
    'Listens on the addresses of the interface at the start, except IPv6 link-local ones.',
    { opensDefault: true }
  ),
  row('socket_domain', 'listener', TEXT, 'partly', '`ipv4` listens on IPv4 only; `ipv6` on both.', {
    opensDefault: true
  }),
  row('protocol', 'listener', TEXT, 'followed', '`mqtt` or `websockets`.', { key: 'protocol' }),
  row(
    'max_connections',
    'listener',
    number(-1, 1_000_000),
    'followed',
    'Maximum number of connections; limits.connections (1,000) applies as well.',
    { opensDefault: true, key: 'maxConnections' }
  ),
  row('http_dir', 'listener', TEXT, 'not followed', 'No files are served; use a web server.', {
    opensDefault: true
  }),
  row(
    'mount_point',
    'listener',
    TEXT,
    'not followed',
    'The listener is not opened: its clients would share the topics of other clients.',
    { closesListener: true, opensDefault: true }
  ),
  row('max_qos', 'listener', number(0, 2), 'not followed', 'All QoS levels are accepted.', {
    matchingValue: '2',
    opensDefault: true
  }),
  row('maximum_qos', 'listener', number(0, 2), 'not followed', 'Older name of max_qos.', {
    matchingValue: '2',
    opensDefault: true
  }),
  row(
    'max_topic_alias',
    'listener',
    number(0, 65_535),
    'not followed',
    'MQTT 5 clients get a Topic Alias Maximum of 0.',
    { matchingValue: '0' }
  ),
  row(
    'use_username_as_clientid',
    'listener',
    FLAG,
    'not followed',
    'The listener is not opened: a client could use the client id of another. Use `pattern` rules with %u to separate users.',
    { matchingValue: 'false', closesListener: true }
  ),
  row(
    'websockets_origin',
    'listener',
    TEXT,
    'followed',
    "Web sites whose pages may connect. Without it, only pages from the broker's own host may.",
    { key: 'origins', repeats: true }
  ),
  row('websockets_headers_size', 'broker', number(0, 65_535), 'not needed', 'Headers of up to 16 KiB are accepted.'),
  row('websockets_log_level', 'broker', number(0, 65_535), 'not needed', STANDARD_ERROR),

  // TLS.
  row('certfile', 'listener', TEXT, 'followed', 'Certificate of the listener; reloaded on SIGHUP.', {
    opensDefault: true,
    key: 'tls.cert'
  }),
  row('keyfile', 'listener', TEXT, 'followed', 'Private key of the certificate.', {
    opensDefault: true,
    key: 'tls.key'
  }),
  row('cafile', 'listener', TEXT, 'followed', 'CA certificates to verify client certificates.', {
    opensDefault: true,
    key: 'tls.ca'
  }),
  row(
    'capath',
    'listener',
    TEXT,
    'not followed',
    'The listener is not opened if client certificates are required and cafile is missing. Put the certificates of the folder into one file (cat *.pem) and set cafile to it.',
    { opensDefault: true }
  ),
  row('require_certificate', 'listener', FLAG, 'followed', 'Only clients with a certificate may connect.', {
    opensDefault: true,
    key: 'tls.requireClientCertificate'
  }),
  row(
    'use_identity_as_username',
    'listener',
    FLAG,
    'followed',
    'The common name of the certificate is the username; no password is needed.',
    { opensDefault: true, key: 'tls.identityAsUsername' }
  ),
  row(
    'use_subject_as_username',
    'listener',
    FLAG,
    'not followed',
    'The listener is not opened. Use use_identity_as_username, which takes the common name.',
    { matchingValue: 'false', closesListener: true, opensDefault: true }
  ),
  row(
    'crlfile',
    'listener',
    TEXT,
    'not followed',
    'The listener is not opened: revoked certificates would be accepted.',
    { closesListener: true }
  ),
  row('tls_version', 'listener', TEXT, 'partly', 'TLS 1.2 and 1.3 are always enabled.', {
    matchingValue: 'tlsv1.2'
  }),
  row('ciphers', 'listener', TEXT, 'not followed', OPENSSL),
  row('ciphers_tls1.3', 'listener', TEXT, 'not followed', OPENSSL),
  row('dhparamfile', 'listener', TEXT, 'not needed', OPENSSL),
  row('tls_engine', 'listener', TEXT, 'not followed', 'Keys are read from files only.'),
  row('tls_engine_kpass_sha1', 'listener', TEXT, 'not followed', 'Keys are read from files only.'),
  row('tls_keyform', 'listener', TEXT, 'not followed', 'Keys are read from files only.', { matchingValue: 'pem' }),
  row(
    'psk_hint',
    'listener',
    TEXT,
    'not followed',
    'The listener is not opened: pre-shared keys (TLS-PSK) are not supported, and without them it would not be encrypted.',
    { closesListener: true }
  ),
  row('psk_file', 'security', TEXT, 'not followed', 'Pre-shared keys (TLS-PSK) are not supported.'),

  // Authentication and access rules.
  row(
    'per_listener_settings',
    'broker',
    FLAG,
    'followed',
    'Whether users and rules apply to the listener above them. Must come before them.'
  ),
  row('allow_anonymous', 'security', FLAG, 'followed', 'Whether clients without a username may connect.', {
    key: 'allowAnonymous'
  }),
  row(
    'password_file',
    'security',
    TEXT,
    'followed',
    'Users and passwords ($6$ and $7$); reloaded on SIGHUP. Edit it with `artemis passwd`.',
    { key: 'passwordFile' }
  ),
  row('acl_file', 'security', TEXT, 'followed', 'Rules for reading and writing topics; reloaded on SIGHUP.', {
    key: 'aclFile'
  }),
  row('allow_zero_length_clientid', 'security', FLAG, 'not followed', 'Clients without a client id get one.', {
    matchingValue: 'true'
  }),
  row('auto_id_prefix', 'security', TEXT, 'not followed', 'Client ids assigned by the broker start with aedes_.'),
  row(
    'plugin',
    'security',
    TEXT,
    'not followed',
    'Plug-ins are not loaded. Anonymous clients are refused, regardless of allow_anonymous, because the plug-in may have refused them.',
    { repeats: true }
  ),
  row('plugin_opt_*', 'security', TEXT, 'not followed', 'Plug-ins are not loaded.', { repeats: true }),
  row('auth_plugin', 'security', TEXT, 'not followed', 'See plugin.', { repeats: true }),
  row('auth_opt_*', 'security', TEXT, 'not followed', 'Plug-ins are not loaded.', { repeats: true }),
  row('auth_plugin_deny_special_chars', 'security', FLAG, 'not followed', 'Plug-ins are not loaded.'),
  row(
    'clientid_prefixes',
    'broker',
    TEXT,
    'refused',
    'Client ids are no authentication, because clients choose them. Use password_file, and remove this line.'
  ),

  // Limits.
  row(
    'max_packet_size',
    'broker',
    number(20, 268_435_456),
    'followed',
    'Larger packets close the connection. Default 16 MiB.',
    { key: 'limits.packetSize' }
  ),
  row(
    'message_size_limit',
    'broker',
    number(0, 268_435_455),
    'partly',
    'Messages with a larger payload are acknowledged and dropped; MQTT 5 clients get "not authorized" (0x87) instead of 0x95.',
    { matchingValue: '0', key: 'limits.messageSize' }
  ),
  row(
    'max_keepalive',
    'broker',
    number(10, 65_535),
    'partly',
    'MQTT 5 clients that request more get this as Server Keep Alive. Older clients that request more, or no keep-alive, are refused.',
    { key: 'limits.keepalive' }
  ),
  row(
    'max_inflight_messages',
    'broker',
    number(0, 65_535),
    'followed',
    'In both directions: MQTT 5 clients get it as Receive Maximum, and messages to a client wait for its acknowledgements.',
    { key: 'limits.inflightMessages', matchingValue: '0' }
  ),
  row(
    'max_inflight_bytes',
    'broker',
    number(0, Number.MAX_SAFE_INTEGER),
    'not followed',
    'The in-flight window counts messages: use max_inflight_messages.',
    { matchingValue: '0' }
  ),
  row(
    'max_queued_messages',
    'broker',
    number(0, 10_000_000),
    'followed',
    'Messages queued for a client that is offline or does not acknowledge.',
    { key: 'limits.queuedMessages' }
  ),
  row('max_queued_bytes', 'broker', number(0, 2 ** 40), 'followed', 'Bytes of queued messages. Default 16 MiB.', {
    key: 'limits.queuedBytes'
  }),
  row(
    'memory_limit',
    'broker',
    number(0, Number.MAX_SAFE_INTEGER),
    'not followed',
    'Limits apply per client instead (docs/limits.md). Under systemd, MemoryMax= limits the total memory.',
    { matchingValue: '0' }
  ),
  row('queue_qos0_messages', 'broker', FLAG, 'not followed', 'QoS 0 messages are not queued for offline clients.', {
    matchingValue: 'false'
  }),
  row(
    'persistent_client_expiration',
    'broker',
    DURATION,
    'followed',
    'Sessions of clients that are offline for this long expire. Default 60 days.',
    { key: 'limits.sessionExpiry' }
  ),
  row('retain_available', 'broker', FLAG, 'not followed', 'Retained messages are always available.', {
    matchingValue: 'true'
  }),
  row(
    'check_retain_source',
    'broker',
    FLAG,
    'not followed',
    'A retained message stays even if its publisher loses write access.',
    { matchingValue: 'false' }
  ),
  row(
    'upgrade_outgoing_qos',
    'broker',
    FLAG,
    'not followed',
    'Messages are sent with the lower QoS of publisher and subscriber, as MQTT specifies.',
    { matchingValue: 'false' }
  ),
  row(
    'retry_interval',
    'broker',
    TEXT,
    'not needed',
    'Over TCP, nothing is resent while a client is connected. mosquitto 2.0 ignores it as well.'
  ),
  row(
    'allow_duplicate_messages',
    'broker',
    FLAG,
    'not needed',
    'A message is sent once, even if several subscriptions of a client match.'
  ),
  row('set_tcp_nodelay', 'broker', FLAG, 'not needed', 'Always enabled.'),

  // Persistence and logging.
  row(
    'persistence',
    'broker',
    FLAG,
    'followed',
    'Whether retained messages, sessions and queued messages survive a restart. Off by default, as in mosquitto.',
    { key: 'persistence' }
  ),
  row(
    'persistence_location',
    'broker',
    TEXT,
    'followed',
    'The data folder is `artemis` in this folder. mosquitto.db is not read: copy retained messages with `artemis import`.'
  ),
  row('persistence_file', 'broker', TEXT, 'not needed', 'The store is a folder, not a file.'),
  row('autosave_interval', 'broker', number(0, Number.MAX_SAFE_INTEGER), 'not needed', 'Data is written immediately.'),
  row('autosave_on_changes', 'broker', FLAG, 'not needed', 'Data is written immediately.'),
  row('retained_persistence', 'broker', FLAG, 'followed', 'Older name of persistence.', { key: 'persistence' }),
  row('sys_interval', 'broker', number(0, 65_535), 'followed', 'Seconds between updates of $SYS; 0 disables them.', {
    key: 'sysInterval'
  }),
  row('pid_file', 'broker', TEXT, 'followed', 'File with the process id while the broker runs.', { key: 'pidFile' }),
  row(
    'user',
    'broker',
    TEXT,
    'not followed',
    'The broker runs as the user that started it; the systemd unit has its own user.'
  ),
  row(
    'log_dest',
    'broker',
    TEXT,
    'partly',
    `\`file FILE\` is appended to and reopened on SIGHUP; \`none\` disables the log. ${STANDARD_ERROR}`,
    { repeats: true }
  ),
  row(
    'log_type',
    'broker',
    TEXT,
    'partly',
    'The least severe type given sets the log level: debug, info (information, notice; the default), warn or error.',
    { repeats: true }
  ),
  row('log_facility', 'broker', TEXT, 'not needed', STANDARD_ERROR),
  row('log_timestamp', 'broker', FLAG, 'not needed', 'Every log line has a timestamp.'),
  row('log_timestamp_format', 'broker', TEXT, 'not needed', 'Timestamps are in ISO 8601.'),
  row('connection_messages', 'broker', FLAG, 'not needed', 'Connections are logged at level debug.'),
  row(
    'include_dir',
    'broker',
    TEXT,
    'followed',
    'Reads the *.conf files of a folder in the order of their names. Only valid in the main file.',
    { repeats: true }
  ),

  // Bridges: one note per bridge, at its first line.
  row(
    'connection',
    'bridge',
    TEXT,
    'not followed',
    'Bridges are not supported: nothing is exchanged with the other broker. A bridge of the other broker can connect here as a client.',
    { repeats: true }
  ),
  ...[
    'address',
    'addresses',
    'bridge_alpn',
    'bridge_attempt_unsubscribe',
    'bridge_bind_address',
    'bridge_cafile',
    'bridge_capath',
    'bridge_certfile',
    'bridge_identity',
    'bridge_insecure',
    'bridge_keyfile',
    'bridge_max_packet_size',
    'bridge_max_topic_alias',
    'bridge_outgoing_retain',
    'bridge_protocol_version',
    'bridge_psk',
    'bridge_require_ocsp',
    'bridge_tcp_keepalive',
    'bridge_tls_version',
    'cleansession',
    'clientid',
    'idle_timeout',
    'keepalive_interval',
    'local_cleansession',
    'local_clientid',
    'local_password',
    'local_username',
    'notification_topic',
    'notifications',
    'notifications_local_only',
    'password',
    'remote_clientid',
    'remote_password',
    'remote_username',
    'restart_timeout',
    'round_robin',
    'start_type',
    'threshold',
    'topic',
    'try_private',
    'username'
  ].map(name => row(name, 'bridge', TEXT, 'not followed', 'See connection.', { repeats: true }))
]

const byName = new Map(DIRECTIVES.map(directive => [directive.name, directive]))

/** Returns the entry of a directive. */
export function directiveOf(name: string): Directive | undefined {
  const [prefix] = /^(auth|plugin)_opt_(?=.)/.exec(name) ?? []
  return byName.get(prefix === undefined ? name : `${prefix}*`)
}

function row(
  name: string,
  of: Directive['of'],
  form: Form,
  support: SupportLevel,
  here: string,
  rest: Pick<Directive, 'key' | 'matchingValue' | 'closesListener' | 'opensDefault' | 'repeats'> = {}
): Directive {
  return { name, of, form, support, here, ...rest }
}

function number(min: number, max: number): Form {
  return { kind: 'number', min, max }
}
