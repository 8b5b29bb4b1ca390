/** The little of the DOM that the webviews need: build elements, and change them only where they differ (a change is announced and laid out). */

type Child = Node | string;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Readonly<Record<string, string>> = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export function svgElement<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Readonly<Record<string, string>> = {}): SVGElementTagNameMap[K] {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node: Element, name: string, value: string): void {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** A pause between announcements, so that a screen reader is not asked to read faster than a person listens. */
export class Announcer {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private waiting = '';

  constructor(private readonly region: Element, private readonly intervalMilliseconds: number) {}

  say(text: string): void {
    this.waiting = text;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      setText(this.region, this.waiting);
    }, this.intervalMilliseconds);
  }
}

interface WebviewApi<State> {
  postMessage(message: unknown): void;
  getState(): State | undefined;
  setState(state: State): void;
}
declare function acquireVsCodeApi(): unknown;

/** The one handle of a webview on the extension. */
export function connect<Sent, Received, State>(onMessage: (message: Received) => void): { post(message: Sent): void; getState(): State | undefined; setState(state: State): void } {
  const api = acquireVsCodeApi() as WebviewApi<State>;
  window.addEventListener('message', (event: MessageEvent<Received>) => onMessage(event.data));
  return { post: (message) => api.postMessage(message), getState: () => api.getState(), setState: (state) => api.setState(state) };
}
