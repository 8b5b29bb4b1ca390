// A reverse proxy in front of VS Code's server that makes the *web* extension host load the extension under test: it serves the extension
// below /extension/ (same origin, as the workbench's content security policy demands) and adds it to the page's configuration.
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';

const contentTypes = {
  '.js': 'text/javascript', '.json': 'application/json', '.map': 'application/json', '.wasm': 'application/wasm', '.html': 'text/html',
  '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png', '.md': 'text/markdown',
};
const prefix = '/extension';

/**
 * @param {{ serverPort: number, extension: string, tests: string }} options `tests` is a path inside the extension, beginning with /
 * @returns {Promise<{ authority: string, close: () => void }>}
 */
export async function startWebFront({ serverPort, extension, tests }) {
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname.startsWith(`${prefix}/`)) serveFile(extension, decodeURIComponent(pathname.slice(prefix.length)), response);
    else forward(request, response, serverPort, pathname === '/' ? (page) => withDevelopedExtension(page, request.headers.host, tests) : undefined);
  });
  server.on('upgrade', (request, socket, head) => forwardSocket(request, socket, head, serverPort));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    authority: `127.0.0.1:${server.address().port}`,
    close: () => { server.close(); server.closeAllConnections(); },
  };
}

function serveFile(folder, name, response) {
  const file = path.join(folder, name);
  if (!file.startsWith(folder + path.sep) || !fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    'content-type': contentTypes[path.extname(file)] ?? 'application/octet-stream', 'access-control-allow-origin': '*', 'cache-control': 'no-store',
  });
  fs.createReadStream(file).pipe(response);
}

function forward(request, response, port, rewrite) {
  const upstream = http.request({
    host: '127.0.0.1', port, path: request.url, method: request.method, headers: { ...request.headers, 'accept-encoding': 'identity' },
  }, async (answer) => {
    if (!rewrite) {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
      return;
    }
    let page = '';
    for await (const chunk of answer.setEncoding('utf8')) page += chunk;
    const headers = { ...answer.headers };
    delete headers['content-length'];
    delete headers['transfer-encoding'];
    response.writeHead(answer.statusCode, headers);
    response.end(rewrite(page));
  });
  upstream.on('error', () => response.writeHead(502).end());
  request.pipe(upstream);
}

/** The workbench reads its configuration from an attribute of the page: JSON with HTML's escapes. */
function withDevelopedExtension(page, host, tests) {
  const location = (name) => ({ scheme: 'http', authority: host, path: prefix + name });
  return page.replace(/(id="vscode-workbench-web-configuration" data-settings=")([^"]*)"/, (_whole, before, escaped) => {
    const configuration = JSON.parse(escaped.replaceAll('&quot;', '"').replaceAll('&amp;', '&'));
    configuration.developmentOptions = { ...configuration.developmentOptions, extensions: [location('')], extensionTestsPath: location(tests) };
    return `${before}${JSON.stringify(configuration).replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"`;
  });
}

function forwardSocket(request, socket, head, port) {
  const upstream = net.connect(port, '127.0.0.1', () => {
    const headers = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) headers.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}\r\n`);
    upstream.write(`${request.method} ${request.url} HTTP/1.1\r\n${headers.join('')}\r\n`);
    upstream.write(head);
    upstream.pipe(socket).pipe(upstream);
  });
  const end = () => { upstream.destroy(); socket.destroy(); };
  upstream.on('error', end);
  socket.on('error', end);
}
