/** What the webview panels share: a document with a strict content security policy, guarded messages, and a readable snapshot of what is shown. */
import * as vscode from 'vscode';

export interface PanelOptions {
  /** Name of the bundle in dist/webviews and of the style sheet in media. */
  readonly name: string;
  readonly viewType: string;
  readonly title: string;
  readonly icon: string;
}

function nonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Nothing is loaded but our own script (by nonce) and style sheet; no network, no frames, no inline style. */
export function webviewHtml(webview: vscode.Webview, extensionUri: vscode.Uri, name: string, title: string): string {
  const script = webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'dist', 'webviews', `${name}.js`));
  const style = webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'media', `${name}.css`));
  const once = nonce();
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${webview.cspSource}; font-src ${webview.cspSource}; script-src 'nonce-${once}';">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${style}">
<title>${title}</title>
</head>
<body>
<script nonce="${once}" src="${script}"></script>
</body>
</html>`;
}

/** A webview panel that is created when first shown and can be closed and shown again. */
export abstract class WebviewPanelView<Sent, Received extends { readonly type: string }> implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  private ready = false;
  private nextSnapshot = 1;
  private readonly snapshots = new Map<number, (text: string) => void>();

  constructor(protected readonly extensionUri: vscode.Uri, private readonly options: PanelOptions) {}

  get isOpen(): boolean {
    return this.panel !== undefined;
  }
  get isVisible(): boolean {
    return this.panel?.visible ?? false;
  }

  show(column: vscode.ViewColumn, preserveFocus: boolean): void {
    if (this.panel) {
      this.panel.reveal(undefined, preserveFocus);
      return;
    }
    const { viewType, title, icon } = this.options;
    this.adopt(vscode.window.createWebviewPanel(viewType, title, { viewColumn: column, preserveFocus }, {}), icon);
  }

  /** Takes over a panel that VS Code restored from the last window. */
  restore(panel: vscode.WebviewPanel): void {
    this.panel?.dispose();
    this.adopt(panel, this.options.icon);
  }

  private adopt(panel: vscode.WebviewPanel, icon: string): void {
    const { name, title } = this.options;
    this.panel = panel;
    this.ready = false;
    panel.iconPath = vscode.Uri.joinPath(this.extensionUri, 'media', icon);
    panel.webview.options = {
      enableScripts: true,
      localResourceRoots: [vscode.Uri.joinPath(this.extensionUri, 'dist', 'webviews'), vscode.Uri.joinPath(this.extensionUri, 'media')],
    };
    panel.webview.onDidReceiveMessage((message: Received) => {
      if (message.type === 'ready') {
        this.ready = true;
        this.refresh();
      } else if (message.type === 'snapshot') {
        const { id, text } = message as unknown as { id: number; text: string };
        this.snapshots.get(id)?.(text);
        this.snapshots.delete(id);
      } else {
        this.receive(message);
      }
    });
    panel.onDidChangeViewState(() => this.visibilityChanged());
    panel.onDidDispose(() => {
      if (this.panel !== panel) return;
      this.panel = undefined;
      this.ready = false;
      this.closed();
    });
    panel.webview.html = webviewHtml(panel.webview, this.extensionUri, name, title);
  }

  /** Sends to the webview when there is one that listens; a closed panel's `postMessage` throws. */
  protected post(message: Sent): boolean {
    if (!this.panel || !this.ready) return false;
    this.panel.webview.postMessage(message).then(undefined, () => undefined);
    return true;
  }

  /** The text that the view shows now; undefined when it is not open or does not answer. */
  snapshot(milliseconds = 5000): Promise<string | undefined> {
    const id = this.nextSnapshot++;
    if (!this.post(this.snapshotRequest(id))) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.snapshots.delete(id);
        resolve(undefined);
      }, milliseconds);
      this.snapshots.set(id, (text) => {
        clearTimeout(timer);
        resolve(text);
      });
    });
  }

  protected abstract snapshotRequest(id: number): Sent;
  /** The webview is new or came back: send everything. */
  protected abstract refresh(): void;
  protected abstract receive(message: Received): void;
  protected visibilityChanged(): void {
    // Most views are told of everything, seen or not.
  }
  protected closed(): void {
    // Most views keep nothing for a panel that is gone.
  }

  dispose(): void {
    this.panel?.dispose();
  }
}
