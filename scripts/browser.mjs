// Opens a report of "mcpen try --html" in headless Chromium, by its debugging pipe:
//   node scripts/browser.mjs CHROMIUM AXE REPORT FOLDER
// at 1280 and 360 columns, light and dark. It fails where the page asks anybody for
// anything, has an error in its script, is wider than the window, or axe-core finds
// something. The pictures are in FOLDER.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [chromium, axe, report, folder] = process.argv.slice(2);
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'mcpen-browser-'));
const browser = spawn(chromium, ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', `--user-data-dir=${profile}`, '--remote-debugging-pipe', 'about:blank'],
{ stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
const done = (code) => { browser.kill('SIGKILL'); process.exitCode = code; };
setTimeout(() => { console.error('browser: no answer in two minutes'); done(1); process.exit(1); }, 120_000).unref();

let last = 0, rest = '';
const waiting = new Map(), events = [];
browser.stdio[4].on('data', (data) => {
  rest += data;
  for (let end; (end = rest.indexOf('\0')) >= 0; rest = rest.slice(end + 1)) {
    const m = JSON.parse(rest.slice(0, end));
    if (m.id) waiting.get(m.id)?.(m);
    else events.push(m);
  }
});
const ask = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
  const id = ++last;
  waiting.set(id, (m) => (m.error ? reject(new Error(`${method}: ${m.error.message}`)) : resolve(m.result)));
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
});
const until = async (is) => { while (!events.some(is)) await new Promise((r) => setTimeout(r, 20)); };

const wrong = [];
try {
  const { targetInfos } = await ask('Target.getTargets');
  const { sessionId } = await ask('Target.attachToTarget', { targetId: targetInfos.find((t) => t.type === 'page').targetId, flatten: true });
  const say = (method, params) => ask(method, params, sessionId);
  for (const domain of ['Page', 'Network', 'Runtime', 'Log']) await say(`${domain}.enable`);
  await say('Page.setBypassCSP', { enabled: true });
  const url = pathToFileURL(report).href;
  for (const width of [1280, 360]) for (const scheme of ['light', 'dark']) {
    const at = `${width} px, ${scheme}`;
    events.length = 0;
    await say('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: width < 500 });
    await say('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
    await say('Page.navigate', { url });
    await until((e) => e.method === 'Page.loadEventFired');
    await new Promise((r) => setTimeout(r, 300));
    for (const e of events) {
      if (e.method === 'Network.requestWillBeSent' && e.params.request.url !== url && !e.params.request.url.startsWith('data:')) wrong.push(`${at}: it asks for ${e.params.request.url}`);
      if (e.method === 'Runtime.exceptionThrown') wrong.push(`${at}: ${e.params.exceptionDetails.exception?.description ?? e.params.exceptionDetails.text}`);
      if (e.method === 'Log.entryAdded' && e.params.entry.level === 'error') wrong.push(`${at}: ${e.params.entry.text}`);
    }
    const value = async (expression) => (await say('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })).result.value;
    const wide = await value('document.documentElement.scrollWidth');
    if (!(wide <= width)) wrong.push(`${at}: it is ${wide} px wide`);
    const { data } = await say('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    fs.writeFileSync(path.join(folder, `try-${width}-${scheme}.png`), Buffer.from(data, 'base64'));
    await say('Runtime.evaluate', { expression: fs.readFileSync(axe, 'utf8') });
    const found = await value('axe.run().then((r) => JSON.stringify({ passes: r.passes.length, violations: r.violations.map((v) => v.id + ": " + v.help + " (" + v.nodes.length + ", such as " + v.nodes[0].html.slice(0, 160) + ")") }))');
    const { passes, violations } = JSON.parse(found);
    if (!(passes > 10)) wrong.push(`${at}: axe looked at ${passes} rules alone`);
    for (const v of violations) wrong.push(`${at}: axe: ${v}`);
    console.log(`${at}: ${passes} rules of axe pass, ${violations.length} do not`);
  }
} catch (e) {
  wrong.push(String(e));
}
for (const w of wrong) console.error(`browser: ${w}`);
done(wrong.length ? 1 : 0);
browser.on('exit', () => fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
