/** The extension is there and starts. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';

const identifier = 'ringside.ringside';

describe('the extension', () => {
  it('is installed and activates', async () => {
    const extension = vscode.extensions.getExtension(identifier);
    assert.ok(extension, `${identifier} is among ${vscode.extensions.all.length} extensions`);
    await extension.activate();
    assert.equal(extension.isActive, true);
  });
});
