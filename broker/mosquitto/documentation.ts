// Formats the catalog as the table of docs/mosquitto.md.

import { DIRECTIVES, type Directive } from './catalog.js'

/** Returns a Markdown table: a line for each directive, and one for all bridge directives. */
export function directiveTable(): string {
  const [bridges, others] = [
    DIRECTIVES.filter(({ of }) => of === 'bridge'),
    DIRECTIVES.filter(({ of }) => of !== 'bridge')
  ]
  const lines = others.map(({ name, support, here }) => line([name], support, here))
  const connection = bridges.at(0)
  if (connection !== undefined)
    lines.push(
      line(
        bridges.map(({ name }) => name),
        connection.support,
        connection.here
      )
    )
  return ['| directive | support | effect in Artemis |', '|---|---|---|', ...lines].join('\n')
}

function line(names: readonly string[], support: Directive['support'], here: string): string {
  return `| ${names.map(name => `\`${name}\``).join(', ')} | ${support} | ${here} |`
}
