// Every directive that mosquitto 2.0 knows, and what it does here: the one table that reading, notes and docs go by.

/**
 * What becomes of a directive. `followed`: it does what it does in mosquitto. `partly`: as far as `here` says.
 * `not followed`: something else happens. `not needed`: leaving it out changes nothing that a client could see.
 * `refused`: without it the broker would let in more than it should, so it does not start.
 */
export type SupportLevel = 'followed' | 'partly' | 'not followed' | 'not needed' | 'refused'

/** The form of a directive's value: a text is the rest of the line, the others are one word. */
export type Form = { kind: 'text' | 'flag' | 'duration' } | { kind: 'number'; min: number; max: number }

/** One directive. */
export interface Directive {
  /** As it is written; with `*` at the end, every name that begins so. */
  name: string
  /**
   * What it belongs to: the broker; the listener above it; `security`: the listener above it under
   * per_listener_settings, else the broker; the bridge above it.
   */
  of: 'broker' | 'listener' | 'security' | 'bridge'
  form: Form
  support: SupportLevel
  /** What it does here, or what happens instead; a sentence. */
  here: string
  /** The setting of artemis.yaml that it becomes: below `listeners[n]`, or `auth`, or the whole file's. */
  key?: string
  /** The value at which nothing is different from what happens here anyway. */
  usual?: string
  /** A listener that has it is not opened: without it, it would let in more than it should. */
  closesListener?: true
  /** In front of the first listener it opens the default listener on port 1883. */
  opensDefault?: true
  /** It may be given several times. */
  repeats?: true
}

const TEXT: Form = { kind: 'text' }
const FLAG: Form = { kind: 'flag' }
const DURATION: Form = { kind: 'duration' }

const OPENSSL = 'Node.js decides: it comes with an OpenSSL of its own.'
const STANDARD_ERROR =
  'What the broker says goes to standard error, under systemd to the journal (journalctl -u artemis).'

/** The table, in the order of the documentation. */
export const DIRECTIVES: readonly Directive[] = [
  // Where it listens.
  row(
    'listener',
    'broker',
    TEXT,
    'followed',
    'Opens a port; without an address on all of them. `listener 0 PATH`, a Unix socket, is not opened.',
    { repeats: true }
  ),
  row('port', 'broker', number(1, 65_535), 'followed', 'Port of the default listener.'),
  row('bind_address', 'broker', TEXT, 'followed', 'Address of the default listener.'),
  row(
    'bind_interface',
    'listener',
    TEXT,
    'followed',
    'Listens on the addresses that the interface has at the start, IPv6 link-local ones left out.',
    { opensDefault: true }
  ),
  row('socket_domain', 'listener', TEXT, 'partly', '`ipv4` listens on IPv4 alone; `ipv6` on both.', {
    opensDefault: true
  }),
  row('protocol', 'listener', TEXT, 'followed', '`mqtt` or `websockets`.', { key: 'protocol' }),
  row(
    'max_connections',
    'listener',
    number(-1, 1_000_000),
    'followed',
    'Connections at a time; limits.connections (1,000) counts as well.',
    { opensDefault: true, key: 'maxConnections' }
  ),
  row('http_dir', 'listener', TEXT, 'not followed', 'No files are served; a web server does that.', {
    opensDefault: true
  }),
  row(
    'mount_point',
    'listener',
    TEXT,
    'not followed',
    'The listener is not opened: its clients would share topics that it keeps apart.',
    { closesListener: true, opensDefault: true }
  ),
  row('max_qos', 'listener', number(0, 2), 'not followed', 'Every QoS is taken.', { usual: '2', opensDefault: true }),
  row('maximum_qos', 'listener', number(0, 2), 'not followed', 'An older name of max_qos.', {
    usual: '2',
    opensDefault: true
  }),
  row(
    'max_topic_alias',
    'listener',
    number(0, 65_535),
    'not followed',
    'Clients of MQTT 5 are offered no topic aliases, and so send none.',
    { usual: '0' }
  ),
  row(
    'use_username_as_clientid',
    'listener',
    FLAG,
    'not followed',
    'The listener is not opened: a client could take the client id of another. `pattern` rules with %u keep users apart.',
    { usual: 'false', closesListener: true }
  ),
  row(
    'websockets_origin',
    'listener',
    TEXT,
    'followed',
    "Web sites whose pages may connect. Without it pages from the broker's own host may, and no others.",
    { key: 'origins', repeats: true }
  ),
  row('websockets_headers_size', 'broker', number(0, 65_535), 'not needed', 'Headers up to 16 KiB are taken.'),
  row('websockets_log_level', 'broker', number(0, 65_535), 'not needed', STANDARD_ERROR),

  // TLS.
  row('certfile', 'listener', TEXT, 'followed', 'Certificate of the listener; read again at SIGHUP.', {
    opensDefault: true,
    key: 'tls.cert'
  }),
  row('keyfile', 'listener', TEXT, 'followed', 'Its private key.', { opensDefault: true, key: 'tls.key' }),
  row('cafile', 'listener', TEXT, 'followed', 'Certificates that client certificates are checked against.', {
    opensDefault: true,
    key: 'tls.ca'
  }),
  row(
    'capath',
    'listener',
    TEXT,
    'not followed',
    'The listener is not opened where client certificates are required and there is no cafile: put the certificates of the folder into one file (cat *.pem) and name it with cafile.',
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
    'The common name of the certificate is the username; passwords are not asked for.',
    { opensDefault: true, key: 'tls.identityAsUsername' }
  ),
  row(
    'use_subject_as_username',
    'listener',
    FLAG,
    'not followed',
    'The listener is not opened: use_identity_as_username takes the common name.',
    { usual: 'false', closesListener: true, opensDefault: true }
  ),
  row(
    'crlfile',
    'listener',
    TEXT,
    'not followed',
    'The listener is not opened: certificates that were revoked would be taken.',
    { closesListener: true }
  ),
  row('tls_version', 'listener', TEXT, 'partly', 'TLS 1.2 and 1.3 are spoken, whatever is asked for.', {
    usual: 'tlsv1.2'
  }),
  row('ciphers', 'listener', TEXT, 'not followed', OPENSSL),
  row('ciphers_tls1.3', 'listener', TEXT, 'not followed', OPENSSL),
  row('dhparamfile', 'listener', TEXT, 'not needed', OPENSSL),
  row('tls_engine', 'listener', TEXT, 'not followed', 'Keys are read from files alone.'),
  row('tls_engine_kpass_sha1', 'listener', TEXT, 'not followed', 'Keys are read from files alone.'),
  row('tls_keyform', 'listener', TEXT, 'not followed', 'Keys are read from files alone.', { usual: 'pem' }),
  row(
    'psk_hint',
    'listener',
    TEXT,
    'not followed',
    'The listener is not opened: keys agreed beforehand (TLS-PSK) are not spoken here, and without them it would not be encrypted.',
    { closesListener: true }
  ),
  row('psk_file', 'security', TEXT, 'not followed', 'Keys agreed beforehand (TLS-PSK) are not spoken here.'),

  // Who may come in, and what for.
  row(
    'per_listener_settings',
    'broker',
    FLAG,
    'followed',
    'Whether users and rules belong to the listener above them. Stands in front of them.'
  ),
  row('allow_anonymous', 'security', FLAG, 'followed', 'Whether clients without a username may come in.', {
    key: 'allowAnonymous'
  }),
  row(
    'password_file',
    'security',
    TEXT,
    'followed',
    'Users and passwords ($6$ and $7$); read again at SIGHUP. `artemis passwd` writes it.',
    { key: 'passwordFile' }
  ),
  row('acl_file', 'security', TEXT, 'followed', 'Who may read and write which topics; read again at SIGHUP.', {
    key: 'aclFile'
  }),
  row('allow_zero_length_clientid', 'security', FLAG, 'not followed', 'Clients without a client id are given one.', {
    usual: 'true'
  }),
  row('auto_id_prefix', 'security', TEXT, 'not followed', 'Client ids that the broker gives begin with aedes_.'),
  row(
    'plugin',
    'security',
    TEXT,
    'not followed',
    'Plug-ins are not loaded. Anonymous clients are then refused, whatever allow_anonymous says: a plug-in may have been what kept them out.',
    { repeats: true }
  ),
  row('plugin_opt_*', 'security', TEXT, 'not followed', 'Plug-ins are not loaded.', { repeats: true }),
  row('auth_plugin', 'security', TEXT, 'not followed', 'As plugin.', { repeats: true }),
  row('auth_opt_*', 'security', TEXT, 'not followed', 'Plug-ins are not loaded.', { repeats: true }),
  row('auth_plugin_deny_special_chars', 'security', FLAG, 'not followed', 'Plug-ins are not loaded.'),
  row(
    'clientid_prefixes',
    'broker',
    TEXT,
    'refused',
    'Client ids are chosen by clients and prove nothing: use password_file, and remove this line.'
  ),

  // Limits.
  row(
    'max_packet_size',
    'broker',
    number(20, 268_435_456),
    'followed',
    'Larger packets end the connection. Without it 16 MiB.',
    { key: 'limits.packetSize' }
  ),
  row(
    'message_size_limit',
    'broker',
    number(0, 268_435_455),
    'partly',
    'Messages with a larger payload are acknowledged and dropped; MQTT 5 is told "not authorized" (0x87) instead of 0x95.',
    { usual: '0', key: 'limits.messageSize' }
  ),
  row(
    'max_keepalive',
    'broker',
    number(10, 65_535),
    'partly',
    'Clients of MQTT 5 that ask for more are told this. Older ones that do are refused, as are those without any.',
    { key: 'limits.keepalive' }
  ),
  row(
    'max_inflight_messages',
    'broker',
    number(0, 65_535),
    'followed',
    'Both ways: clients of MQTT 5 are told it for what they send, and what goes to a client waits for its acknowledgements.',
    { key: 'limits.inflightMessages', usual: '0' }
  ),
  row(
    'max_inflight_bytes',
    'broker',
    number(0, Number.MAX_SAFE_INTEGER),
    'not followed',
    'They are counted in messages: max_inflight_messages.',
    { usual: '0' }
  ),
  row(
    'max_queued_messages',
    'broker',
    number(0, 10_000_000),
    'followed',
    'Messages that wait for a client which is away or does not acknowledge.',
    { key: 'limits.queuedMessages' }
  ),
  row('max_queued_bytes', 'broker', number(0, 2 ** 40), 'followed', 'Bytes of them. Without it 16 MiB.', {
    key: 'limits.queuedBytes'
  }),
  row(
    'memory_limit',
    'broker',
    number(0, Number.MAX_SAFE_INTEGER),
    'not followed',
    'What each client may take is limited instead (docs/limits.md); under systemd MemoryMax= limits the whole.',
    { usual: '0' }
  ),
  row(
    'queue_qos0_messages',
    'broker',
    FLAG,
    'not followed',
    'Messages of QoS 0 are not kept for clients which are away.',
    { usual: 'false' }
  ),
  row(
    'persistent_client_expiration',
    'broker',
    DURATION,
    'followed',
    'Sessions end when their clients have been away for so long. Without it 60 days.',
    { key: 'limits.sessionExpiry' }
  ),
  row('retain_available', 'broker', FLAG, 'not followed', 'Retained messages are kept.', { usual: 'true' }),
  row(
    'check_retain_source',
    'broker',
    FLAG,
    'not followed',
    'A retained message stays when its publisher loses the right to write it.',
    { usual: 'false' }
  ),
  row(
    'upgrade_outgoing_qos',
    'broker',
    FLAG,
    'not followed',
    'Messages keep the lower QoS of publisher and subscriber, as MQTT says.',
    { usual: 'false' }
  ),
  row(
    'retry_interval',
    'broker',
    TEXT,
    'not needed',
    'Over TCP nothing is sent twice while a client is connected; mosquitto 2.0 does nothing with it either.'
  ),
  row(
    'allow_duplicate_messages',
    'broker',
    FLAG,
    'not needed',
    'A message comes once, however many subscriptions of a client match.'
  ),
  row('set_tcp_nodelay', 'broker', FLAG, 'not needed', 'Always on.'),

  // What is kept, and what is said.
  row(
    'persistence',
    'broker',
    FLAG,
    'followed',
    'Whether retained messages, sessions and queued messages outlive a restart. As in mosquitto, not unless told.',
    { key: 'persistence' }
  ),
  row(
    'persistence_location',
    'broker',
    TEXT,
    'followed',
    'The data folder is `artemis` in it. mosquitto.db is not read: `artemis import` copies retained messages.'
  ),
  row('persistence_file', 'broker', TEXT, 'not needed', 'The store is a folder, not a file.'),
  row(
    'autosave_interval',
    'broker',
    number(0, Number.MAX_SAFE_INTEGER),
    'not needed',
    'What is to be kept is written at once.'
  ),
  row('autosave_on_changes', 'broker', FLAG, 'not needed', 'What is to be kept is written at once.'),
  row('retained_persistence', 'broker', FLAG, 'followed', 'An older name of persistence.', { key: 'persistence' }),
  row('sys_interval', 'broker', number(0, 65_535), 'followed', 'Seconds between two updates of $SYS; 0 for none.', {
    key: 'sysInterval'
  }),
  row('pid_file', 'broker', TEXT, 'followed', 'Holds the process id while the broker runs.', { key: 'pidFile' }),
  row(
    'user',
    'broker',
    TEXT,
    'not followed',
    'The broker stays the user who started it; the systemd unit has a user of its own.'
  ),
  row(
    'log_dest',
    'broker',
    TEXT,
    'partly',
    `\`file FILE\` is appended to, and opened anew at SIGHUP; \`none\` is silence. ${STANDARD_ERROR}`,
    { repeats: true }
  ),
  row(
    'log_type',
    'broker',
    TEXT,
    'partly',
    'The least severe type named is the level from which on is logged: debug, info (information, notice, the default), warn or error.',
    { repeats: true }
  ),
  row('log_facility', 'broker', TEXT, 'not needed', STANDARD_ERROR),
  row('log_timestamp', 'broker', FLAG, 'not needed', 'Every line of the log has its time.'),
  row('log_timestamp_format', 'broker', TEXT, 'not needed', 'Times are written as in ISO 8601.'),
  row('connection_messages', 'broker', FLAG, 'not needed', 'Who connects is logged at the level debug.'),
  row(
    'include_dir',
    'broker',
    TEXT,
    'followed',
    'Reads the *.conf of a folder in order of their names. Counts in the main file alone.',
    { repeats: true }
  ),

  // Bridges: one note for each, at its first line.
  row(
    'connection',
    'bridge',
    TEXT,
    'not followed',
    'There is no bridge: nothing is passed on to the other broker or taken from it. A bridge of the other broker can connect here as a client.',
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
  ].map(name => row(name, 'bridge', TEXT, 'not followed', 'As connection.', { repeats: true }))
]

const byName = new Map(DIRECTIVES.map(directive => [directive.name, directive]))

/** The row of a directive. */
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
  rest: Pick<Directive, 'key' | 'usual' | 'closesListener' | 'opensDefault' | 'repeats'> = {}
): Directive {
  return { name, of, form, support, here, ...rest }
}

function number(min: number, max: number): Form {
  return { kind: 'number', min, max }
}
