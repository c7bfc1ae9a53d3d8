// Settings of the ssh tap. Types only, so that the public API does not depend on the types of ssh2.

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

/** Settings of an SSH connection. */
export interface ConnectionSettings extends HostKeySettings, IdentitySettings {
  /**
   * Time limit from the first SYN to the end of the login, ms.
   * @default 10000
   */
  connectTimeoutMs?: number
  /**
   * Interval of keepalive requests, ms. The connection ends after three without a reply.
   * @default 10000
   */
  keepaliveMs?: number
}

/** Settings of an SSH tap. */
export interface SshSettings extends ConnectionSettings {
  /**
   * Run tcpdump with `sudo -n`.
   * @default false
   */
  sudo?: boolean
}
