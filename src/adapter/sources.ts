/** Source files as the protocol names them. */
import type { DebugProtocol } from '@vscode/debugprotocol';

export function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

export function makeSource(path: string): DebugProtocol.Source {
  return { name: baseName(path), path };
}
