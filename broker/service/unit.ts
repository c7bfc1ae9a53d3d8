// The systemd unit, with the minimum of privileges that the broker needs.

/** Name of the service and of its user. */
export const SERVICE = 'artemis'

/** Paths of the service's files. */
export const PATHS = Object.freeze({
  unit: `/etc/systemd/system/${SERVICE}.service`,
  dropIns: `/etc/systemd/system/${SERVICE}.service.d`,
  tapDropIn: `/etc/systemd/system/${SERVICE}.service.d/local-tap.conf`,
  settingsFolder: `/etc/${SERVICE}`,
  settings: `/etc/${SERVICE}/artemis.yaml`,
  data: `/var/lib/${SERVICE}`
})

/**
 * Returns the unit file. The small semi-space saves memory (docs/running.md). MemoryDenyWriteExecute is not set because
 * Node.js compiles at run time. An operator error (exit code 1) is not retried, since it would fail again.
 *
 * @param node path of the Node.js executable
 * @param main path of `main.js`
 */
export function unitText(node: string, main: string): string {
  return `# Written by "artemis service install"; use "systemctl edit ${SERVICE}" to override it.
[Unit]
Description=Artemis MQTT broker
After=network-online.target time-sync.target
Wants=network-online.target

[Service]
Type=exec
ExecStart=${quoted(node)} --max-semi-space-size=1 ${quoted(main)} broker --config ${PATHS.settings}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=1
User=${SERVICE}
Group=${SERVICE}
StateDirectory=${SERVICE}
StateDirectoryMode=0700
WorkingDirectory=${PATHS.data}
UMask=0077
LimitNOFILE=65536

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
KeyringMode=private
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`
}

/** Drop-in for a local tap: allows tcpdump, started by the broker, to open raw sockets. */
export const TAP_DROP_IN = `# Written by "artemis service install --tap". Allows tcpdump to capture on this machine.
[Service]
CapabilityBoundingSet=CAP_NET_RAW
AmbientCapabilities=CAP_NET_RAW
RestrictAddressFamilies=AF_PACKET AF_NETLINK
`

/** Returns the initial settings file of the service. */
export function settingsText(hasTap: boolean): string {
  return `# Settings of the Artemis service. See artemis.example.yaml of the package for all settings and defaults.
# To reload them: "systemctl reload ${SERVICE}". Ports and the data folder need a restart.

listeners:
  # Before you listen on 0.0.0.0, restrict access under auth.
  - host: 127.0.0.1
    port: 1883

data: ${PATHS.data}

tap:
  # auto: tcpdump on this machine, if installed with "artemis service install --tap". none: no tap.
  target: ${hasTap ? 'auto' : 'none'}
`
}

/** Quotes an argument for a systemd command line and escapes specifiers and variables. */
function quoted(text: string): string {
  const escaped = text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/%/g, '%%').replace(/\$/g, '$$$$')
  return /\s/.test(escaped) || escaped !== text ? `"${escaped}"` : escaped
}
