// Settings of the ssh tap. Types only: the public API refers to them without pulling in ssh2's.

/** How the host key is verified. The fingerprint takes precedence over the file. */
export interface HostKeySettings {
  /** Fingerprint as `ssh-keygen -l` prints it: `SHA256:...`. */
  hostKey?: string
  /** @default `~/.ssh/known_hosts` */
  knownHostsFile?: string
}

/** Where the client's keys come from. A key file is used alone; otherwise the agent and the default identities. */
export interface IdentitySettings {
  /** Private key file. */
  identityFile?: string
  /** Passphrase of the private key file. */
  passphrase?: string
  /**
   * Socket of an ssh agent.
   * @default the environment's SSH_AUTH_SOCK
   */
  agentSocket?: string
}

/** How to connect. */
export interface ConnectionSettings extends HostKeySettings, IdentitySettings {
  /**
   * Time limit from the first SYN to the end of the login, ms.
   * @default 10000
   */
  connectTimeoutMs?: number
  /**
   * Interval of keep-alive requests, ms. The connection ends after three without a reply.
   * @default 10000
   */
  keepaliveMs?: number
}

/** How to connect, and how to capture there. */
export interface SshSettings extends ConnectionSettings {
  /**
   * Run tcpdump with `sudo -n`.
   * @default false
   */
  sudo?: boolean
}
