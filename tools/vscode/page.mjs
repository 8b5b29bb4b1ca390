// The address that opens a folder in the workbench with an extension under development, and a suite to run when there is one.

/** @param {{ authority: string, front?: string, folder: string, extension?: string, tests?: string }} where absolute paths on the server */
export function workbenchAddress({ authority, front = authority, folder, extension, tests }) {
  const remote = (file) => `vscode-remote://${authority}${encodeURI(file)}`;
  const payload = [
    ...(extension ? [['extensionDevelopmentPath', remote(extension)]] : []),
    ...(tests ? [['extensionTestsPath', remote(tests)]] : []),
    ['skipWelcome', 'true'],
    ['skipReleaseNotes', 'true'],
  ];
  return `http://${front}/?folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(JSON.stringify(payload))}`;
}
