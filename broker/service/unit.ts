// The systemd unit: what it may do on the machine is what a broker needs, and nothing else.

/** Name of the service and of its user. */
export const SERVICE = 'artemis'

/** Where everything lies, from the root of the machine. */
export const PATHS = Object.freeze({
  unit: `/etc/systemd/system/${SERVICE}.service`,
  dropIns: `/etc/systemd/system/${SERVICE}.service.d`,
  tapDropIn: `/etc/systemd/system/${SERVICE}.service.d/local-tap.conf`,
  settingsFolder: `/etc/${SERVICE}`,
  settings: `/etc/${SERVICE}/artemis.yaml`,
  data: `/var/lib/${SERVICE}`
})

/**
 * The unit file. The small space for new objects saves memory (docs/running.md). MemoryDenyWriteExecute is missing
 * because Node compiles while it runs; a mistake of the
 * operator (exit code 1) is not tried again, since it would fail again.
 *
 * @param node the Node that runs it
 * @param main the program, `main.js`
 */
export function unitText(node: string, main: string): string {
  return `# Written by "artemis service install"; "systemctl edit ${SERVICE}" changes it without touching this file.
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

/** What is added where the broker taps this machine itself: tcpdump, run by it, may open raw sockets. */
export const TAP_DROP_IN = `# Written by "artemis service install --tap": tcpdump may capture on this machine.
[Service]
CapabilityBoundingSet=CAP_NET_RAW
AmbientCapabilities=CAP_NET_RAW
RestrictAddressFamilies=AF_PACKET AF_NETLINK
`

/** The settings that a new service begins with. */
export function settingsText(hasTap: boolean): string {
  return `# Settings of the Artemis service; artemis.example.yaml of the package shows every one with its default.
# "systemctl reload ${SERVICE}" makes the broker read them again; ports and the data folder need a restart.

listeners:
  # 0.0.0.0 lets everybody in: first say who may, under auth.
  - host: 127.0.0.1
    port: 1883

data: ${PATHS.data}

tap:
  # auto: tcpdump on this machine, where "artemis service install --tap" has let it. none: no tap.
  target: ${hasTap ? 'auto' : 'none'}
`
}

/** As systemd reads a command line: in quotes where there are spaces, specifiers and variables as themselves. */
function quoted(text: string): string {
  const plain = text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/%/g, '%%').replace(/\$/g, '$$$$')
  return /\s/.test(plain) || plain !== text ? `"${plain}"` : plain
}
