// Connects to what it is told to, one after the other, and writes to descriptor
// 9 what became of each: OK, or the code of the error.
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";

const late = (ms) => new Promise((_, no) => setTimeout(() => no({ code: "NOTHING" }), ms).unref());

const ops = {
  fetch: async (target) => {
    const r = await fetch(target);
    if ((await r.text()) !== "peer\n") throw { code: "OTHER" };
  },
  // The package, which node's fetch has a copy of; only where it was installed.
  undici: async (target) => {
    const { request } = await import("undici");
    const r = await request(target);
    if ((await r.body.text()) !== "peer\n") throw { code: "OTHER" };
  },
  get: (target) => new Promise((yes, no) => {
    (target.startsWith("https:") ? https : http).get(target, { agent: false }, (r) => r.resume().on("end", yes).on("error", no)).on("error", no);
  }),
  net: (target) => new Promise((yes, no) => {
    const at = target.lastIndexOf(":");
    const host = target.slice(0, at).replace(/^\[|\]$/g, "");
    const c = net.connect(Number(target.slice(at + 1)), host);
    c.on("data", () => { yes(); c.destroy(); }).on("error", no).on("end", () => no({ code: "EOF" }));
  }),
};

const code = (e) => {
  for (; e; e = e.cause ?? e.errors?.[0]) if (e.code) return e.code;
  return "UNKNOWN";
};

const args = process.argv.slice(2);
for (let i = 0; i < args.length; i += 2) {
  let said = "OK";
  try {
    await Promise.race([ops[args[i]](args[i + 1]), late(30_000)]);
  } catch (e) {
    said = code(e);
  }
  fs.writeSync(9, `node ${args[i]} ${args[i + 1]} ${said}\n`);
}
process.exit(0);
