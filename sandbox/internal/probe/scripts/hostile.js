// One attack by the means that node itself has. Arguments: the attack and the
// world in JSON. The answer on stdout is "ok" or the name of an errno.
'use strict';
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { Worker } = require('node:worker_threads');

const [attack, text] = process.argv.slice(-2);
const world = JSON.parse(text);

const connect = (where) => new Promise((resolve, reject) => {
  const socket = net.connect(where, () => { socket.destroy(); resolve(); });
  socket.on('error', reject);
});

const attacks = {
  'read-key': () => fs.readFileSync(world.secret),
  'read-key-promise': () => fs.promises.readFile(world.secret), // libuv's pool, or io_uring
  'read-key-worker': () => new Promise((resolve, reject) => {
    const code = `require('node:fs').readFileSync(${JSON.stringify(world.secret)})`;
    new Worker(code, { eval: true }).on('error', reject).on('exit', resolve);
  }),
  'read-key-child': () => {
    const code = 'try { require("node:fs").readFileSync(process.argv[1]) } catch (e) { process.stdout.write(e.code) }';
    const child = spawnSync(process.execPath, ['-e', code, world.secret], { encoding: 'utf8' });
    if (child.error) throw child.error;
    if (child.stdout) throw Object.assign(new Error('child'), { code: child.stdout });
  },
  'write-outside': () => fs.writeFileSync(path.join(world.outside, 'planted-by-node'), ''),
  'tcp-host': () => connect({ host: '127.0.0.1', port: world.tcp }),
  'unix-path': () => connect({ path: world.socket }),
  'kill-stranger': () => process.kill(world.stranger, 0),
  'environment': () => { if (!(world.canary in process.env)) throw Object.assign(new Error(), { code: 'HELD' }); },
  'setuid': () => {
    try {
      process.setuid(20007);
    } catch (e) {
      // A node with the system's libuv refuses by itself, without the call, because of
      // io_uring (CVE-2024-22017). It sets the user of a child all the same.
      if (e.code !== 'ERR_INVALID_STATE') throw e;
      const child = spawnSync(process.execPath, ['-e', ''], { uid: 20007 });
      if (child.error) throw child.error;
    }
  },
  'interfaces': () => {
    const outer = Object.values(os.networkInterfaces()).flat().filter((a) => !a.internal);
    if (outer.length === 0) throw Object.assign(new Error(), { code: 'HELD' });
    return outer[0].cidr;
  },
};

(async () => {
  try {
    const detail = await attacks[attack]();
    process.stdout.write(typeof detail === 'string' ? `ok ${detail}` : 'ok');
  } catch (e) {
    process.stdout.write(e.code || `EUNKNOWN ${e}`);
  }
})();
