// conformance.mjs compares runs of MCP's conformance suite check by check.
//
// usage: conformance.mjs TITLE DIR FIRST OTHER…
//
// DIR holds a folder for each run, which holds one folder for each scenario. It
// prints what each run came to, and ends with 1 where a check of another run has
// not the result that it has in the first. Checks that fail in both, and say
// something else, are counted, and one is shown.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [title, dir, first, ...others] = process.argv.slice(2);

// Addresses and the identities that a bridge hands out differ in every run.
const plain = (text) =>
  (text ?? "")
    .replace(/127\.0\.0\.1:\d+/g, "ADDRESS")
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "UUID")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replace(/\b\d+(\.\d+)? ?ms\b/g, "DURATION");

// read returns the result of every check of a run, by scenario, id and number.
function read(name) {
  const checks = new Map();
  for (const folder of readdirSync(join(dir, name)).sort()) {
    const scenario = folder.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, "");
    const seen = new Map();
    for (const check of JSON.parse(readFileSync(join(dir, name, folder, "checks.json"), "utf8"))) {
      const n = (seen.get(check.id) ?? 0) + 1;
      seen.set(check.id, n);
      checks.set(`${scenario}: ${check.id}${n > 1 ? ` (${n})` : ""}`, {
        status: check.status,
        why: plain(check.errorMessage),
      });
    }
  }
  return checks;
}

// total is a run's sum, as the suite counts: what is neither success nor failure
// is a word to the reader.
function total(checks) {
  const count = { SUCCESS: 0, FAILURE: 0 };
  for (const { status } of checks.values()) count[status] = (count[status] ?? 0) + 1;
  const { SUCCESS, FAILURE, ...rest } = count;
  return [`${SUCCESS} passed`, `${FAILURE} failed`, ...Object.entries(rest).map(([k, v]) => `${v} ${k.toLowerCase()}`)].join(", ");
}

const runs = new Map([first, ...others].map((name) => [name, read(name)]));
console.log(title);
for (const [name, checks] of runs) console.log(`  ${name.padEnd(8)}${total(checks)}`);

let different = 0;
const want = runs.get(first);
const absent = { status: "no such check", why: "" };
for (const name of others) {
  const have = runs.get(name);
  const reworded = [];
  for (const key of new Set([...want.keys(), ...have.keys()])) {
    const [a, b] = [want.get(key) ?? absent, have.get(key) ?? absent];
    if (a.status === b.status && a.why === b.why) continue;
    if (a.status === b.status) {
      reworded.push(`${key}\n    ${first}: ${a.why}\n    ${name}: ${b.why}`);
      continue;
    }
    different++;
    console.log(`  DIFFERENT: ${key}\n    ${first}: ${a.status} ${a.why}\n    ${name}: ${b.status} ${b.why}`);
  }
  if (reworded.length > 0) console.log(`  ${name}: ${reworded.length} with the same result, in other words, such as ${reworded[0]}`);
}
if (![...want.values()].some(({ status }) => status === "SUCCESS")) {
  console.log("  nothing passed: this compares nothing");
  different++;
}
console.log(different ? `  ${different} different` : "  the same results, check by check");
process.exit(different ? 1 : 0);
