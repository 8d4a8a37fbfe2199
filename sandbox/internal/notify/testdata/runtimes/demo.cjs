// Files, workers, processes, sockets, timers and a watcher, in node, Bun and Deno.
const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const dgram = require('node:dgram');
const dns = require('node:dns');
const crypto = require('node:crypto');
const zlib = require('node:zlib');
const { execFile, execFileSync, spawn, fork } = require('node:child_process');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { once } = require('node:events');
const { promisify } = require('node:util');

if (!isMainThread) {
  parentPort.postMessage(new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])) && 42);
} else if (process.connected) {
  process.once('message', (m) => { process.send(m + 1, () => process.disconnect()); });
} else {
  main().then(() => { console.log('ok'); process.exit(0); }, (e) => { console.error(e); process.exit(1); });
}

async function main() {
  const dir = await fs.promises.mkdtemp(path.join(os.tmpdir(), 'demo-'));
  const f = path.join(dir, 'f');
  const watcher = fs.watch(dir);
  const seen = once(watcher, 'change');
  await fs.promises.writeFile(f, 'x'.repeat(100000));
  await seen;
  watcher.close();
  await fs.promises.copyFile(f, f + '2');
  await fs.promises.rename(f + '2', f + '3');
  await fs.promises.utimes(f, 1, 1);
  await fs.promises.chmod(f, 0o600);
  assert.deepStrictEqual((await fs.promises.readdir(dir)).sort(), ['f', 'f3']);
  assert.strictEqual((await promisify(zlib.gzip)(fs.readFileSync(f))).length > 0, true);

  const worker = new Worker(__filename);
  assert.strictEqual((await once(worker, 'message'))[0], 42);
  await worker.terminate();

  assert.strictEqual(execFileSync('echo', ['hi']).toString(), 'hi\n');
  assert.strictEqual((await promisify(execFile)('sh', ['-c', 'cat /dev/null; echo sub'])).stdout, 'sub\n');
  const cat = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  cat.stdin.end('in');
  assert.strictEqual((await once(cat.stdout, 'data'))[0].toString(), 'in');
  const child = fork(__filename);
  child.send(1);
  assert.strictEqual((await once(child, 'message'))[0], 2);

  const server = http.createServer((_, res) => res.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const response = await fetch(`http://127.0.0.1:${server.address().port}/`);
  assert.strictEqual(await response.text(), 'hello');
  server.close();
  const unix = net.createServer((c) => c.end('u')).listen(path.join(dir, 'sock'));
  await once(unix, 'listening');
  assert.strictEqual((await once(net.connect(path.join(dir, 'sock')), 'data'))[0].toString(), 'u');
  unix.close();
  const udp = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(udp, 'listening');
  udp.send('x', udp.address().port, '127.0.0.1');
  await once(udp, 'message');
  udp.close();
  await dns.promises.lookup('localhost');
  os.networkInterfaces(); os.cpus(); os.userInfo(); os.loadavg(); os.getPriority();
  await promisify(crypto.randomBytes)(8);
  await promisify(crypto.scrypt)('a', 'b', 32);
  await new Promise((done) => setTimeout(done, 10));
  fs.rmSync(dir, { recursive: true });
}
