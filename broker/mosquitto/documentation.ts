// The catalog as the table of docs/mosquitto.md.

import { DIRECTIVES, type Directive } from './catalog.js'

/** A Markdown table: one line for each directive, one for all that belong to bridges. */
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
  return ['| directive | here | what it does here, or what happens instead |', '|---|---|---|', ...lines].join('\n')
}

function line(names: readonly string[], support: Directive['support'], here: string): string {
  return `| ${names.map(name => `\`${name}\``).join(', ')} | ${support} | ${here} |`
}
