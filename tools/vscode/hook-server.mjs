// What a suite inside VS Code cannot see or do by itself, over local HTTP: look at the workbench's DOM, press keys, take screenshots,
// print lines, hand in results. A request is {"op": name, …arguments}, the answer {"result": value} or {"error": text}. The suite's side is
// test/vscode/hook.ts. In desktop VS Code there is no page to drive: operations on it answer {"unavailable": true}.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

const pollMs = 100;
const defaultWaitMs = 10_000;

/**
 * @param {{ page: () => import('playwright-core').Page | undefined, screenshots: string, onPrint: (text: string) => void, onResults: (counts: object) => void }} options
 * @returns {Promise<{ url: string, close: () => void }>}
 */
export async function startHookServer({ page, screenshots, onPrint, onResults }) {
  const server = http.createServer(async (request, response) => {
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-allow-headers', '*');
    response.setHeader('cross-origin-resource-policy', 'cross-origin');
    if (request.method === 'OPTIONS') {
      response.writeHead(204).end();
      return;
    }
    let body = '';
    for await (const chunk of request) body += chunk;
    response.end(JSON.stringify(await answer(body)));
  });

  async function answer(body) {
    try {
      const { op, ...options } = JSON.parse(body);
      if (op === 'results') {
        onResults(options);
        return { result: true };
      }
      if (op === 'print') {
        onPrint(options.text);
        return { result: true };
      }
      const operation = Object.hasOwn(pageOperations, op) ? pageOperations[op] : undefined;
      if (!operation) return { error: `unknown operation ${op}; there are print, results, ${Object.keys(pageOperations).join(', ')}` };
      const current = page();
      if (!current) return { unavailable: true };
      return { result: (await operation(current, options, { screenshots })) ?? null };
    } catch (error) {
      return { error: String(error.message ?? error) };
    }
  }

  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () => { server.close(); server.closeAllConnections(); },
  };
}

/** Every operation takes { selector, webview, … }; with `webview: true` the selector is looked up inside webviews instead of the workbench. */
const pageOperations = {
  async screenshot(page, { name }, { screenshots }) {
    fs.mkdirSync(screenshots, { recursive: true });
    const file = path.join(screenshots, `${name.replace(/[^\w.-]+/g, '-')}.png`);
    await page.screenshot({ path: file });
    return file;
  },
  /** Text of every element that matches, as a list. */
  texts,
  /** Waits until a line of the elements' text matches the regular expression; the lines that do. */
  async waitText(page, { selector, webview, pattern, ms = defaultWaitMs }) {
    const expression = new RegExp(pattern);
    let shown = '';
    for (const end = Date.now() + ms; Date.now() <= end; await sleep(pollMs)) {
      shown = (await texts(page, { selector, webview })).join('\n');
      const lines = shown.split('\n').filter((line) => expression.test(line));
      if (lines.length > 0) return lines;
    }
    throw new Error(`no line of ${selector} matched /${pattern}/ within ${ms} ms; it shows: ${shown.slice(0, 2000)}`);
  },
  async count(page, { selector, webview }) {
    const counts = await Promise.all(frames(page, webview).map((frame) => frame.locator(selector).count().catch(() => 0)));
    return counts.reduce((sum, count) => sum + count, 0);
  },
  async attribute(page, { selector, webview, name, ms }) {
    return (await first(page, selector, webview, ms)).getAttribute(name);
  },
  async click(page, { selector, webview, button, clickCount, ms }) {
    await (await first(page, selector, webview, ms)).click({ button, clickCount, timeout: ms ?? defaultWaitMs });
  },
  async hover(page, { selector, webview, ms }) {
    await (await first(page, selector, webview, ms)).hover({ timeout: ms ?? defaultWaitMs });
  },
  async focus(page, { selector, webview, ms }) {
    await (await first(page, selector, webview, ms)).focus();
  },
  /** A key or chord in Playwright's names: 'Enter', 'ArrowLeft', 'Control+Shift+P'. */
  async press(page, { keys, holdMs }) {
    await page.keyboard.press(keys, { delay: holdMs });
  },
  async type(page, { text, delayMs }) {
    await page.keyboard.type(text, { delay: delayMs });
  },
  /** Size of the window, for screenshots that should show more. */
  async resize(page, { width, height }) {
    await page.setViewportSize({ width, height });
  },
};

function frames(page, webview) {
  return webview ? page.frames().filter((frame) => frame !== page.mainFrame()) : [page.mainFrame()];
}

async function texts(page, { selector, webview }) {
  // A webview's frame may go away while it is being asked.
  const lists = await Promise.all(frames(page, webview).map((frame) => frame.locator(selector).allInnerTexts().catch(() => [])));
  return lists.flat().map((text) => text.replaceAll('\u00a0', ' '));
}

/** The first visible element that matches, waiting for it to appear. */
async function first(page, selector, webview, ms = defaultWaitMs) {
  for (const end = Date.now() + ms; Date.now() <= end; await sleep(pollMs)) {
    for (const frame of frames(page, webview)) {
      const element = frame.locator(selector).first();
      if (await element.isVisible().catch(() => false)) return element;
    }
  }
  throw new Error(`${selector} did not appear ${webview ? 'in a webview' : 'in the workbench'} within ${ms} ms`);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
