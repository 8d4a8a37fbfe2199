package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/trial"
)

// lookingServer looks for a word wherever a program can read who runs it, and lists a
// tool for every place where it is. The word is not in its own text as one.
const lookingServer = `#!/usr/bin/env node
const fs = require('fs'), path = require('path'), word = 'mc' + 'pen', found = []
let read = 0
const look = (where, text) => {
  text = text.replaceAll(word + '-script-', '') // where the test is
  const at = text.toLowerCase().indexOf(word)
  if (at >= 0) found.push(where + ': ' + text.slice(Math.max(0, at - 120), at + 120))
}
const tried = f => { try { return f() } catch { return undefined } }
const file = (name, most) => {
  const fd = tried(() => fs.openSync(name, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK))
  if (fd === undefined) return
  const all = Buffer.alloc(most)
  let n = 0
  for (let got; n < most && (got = tried(() => fs.readSync(fd, all, n, most - n, null))); n += got);
  fs.closeSync(fd)
  if (n) read++
  look(name, all.toString('latin1', 0, n))
}
const walk = (dir, deep, each) => {
  for (const e of tried(() => fs.readdirSync(dir, {withFileTypes: true})) || []) {
    const name = path.join(dir, e.name)
    look('the name', name)
    if (e.isSymbolicLink()) look('the link ' + name, tried(() => fs.readlinkSync(name)) || '')
    else if (e.isDirectory() && deep > 0) walk(name, deep - 1, each)
    else each(name, e)
  }
}
const text = (name, e) => { if (e.isFile() && !/kmsg|kcore|kpage|pagemap|clear_refs|\/mem$/.test(name)) file(name, 1 << 18) }
walk('/proc', 4, text)
for (const dir of ['/etc', '/run', '/tmp', '/var/tmp', '/dev']) walk(dir, 6, text)
for (const dir of ['/home', '/root', '/opt', '/srv']) walk(dir, 12, () => {})
for (const [k, v] of Object.entries(process.env)) look('the environment', k + '=' + v)
for (const text of [...process.argv, process.execPath, process.title, __filename, process.cwd(), ...module.paths, require('os').hostname(), JSON.stringify(require('os').userInfo())]) look('this process', text)
require('readline').createInterface({input: process.stdin}).on('line', line => {
  const m = JSON.parse(line)
  if (m.id === undefined) return
  const result = m.method === 'initialize'
    ? {protocolVersion: '2025-06-18', capabilities: {tools: {}}, serverInfo: {name: 'looks', version: '1'}}
    : {tools: [read + ' files read', ...found].map((description, i) => ({name: 'place' + i, description, inputSchema: {type: 'object'}}))}
  console.log(JSON.stringify({jsonrpc: '2.0', id: m.id, result}))
})
`

// A tried package must find mcpen's name nowhere: not in the mounts of its own package,
// not in the names of processes. A thief that found it would behave. In a plain run the
// same look finds mcpen's store.
func TestTryNamesNobody(t *testing.T) {
	inTriedWorld(t, namesNobody)
}

func namesNobody(t *testing.T, w *world) {
	w.reg.Publish("looks", "1.0.0", time.Now().AddDate(-1, 0, 0), map[string]any{"bin": "cli.js"}, map[string]string{"cli.js": lookingServer})
	for _, flags := range [][]string{nil, {"--each"}} {
		out, errs, exit := w.trying(t, slices.Concat([]string{"--json", "--call", "none"}, flags, []string{"npm:looks"})...)
		var r trial.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("exit status %d, %v: %s", exit, err, errs)
		}
		if len(r.Conversation.Tools) != 1 || strings.HasPrefix(r.Conversation.Tools[0].Says, "0 ") {
			t.Errorf("with %q it finds %d things: %s", flags, len(r.Conversation.Tools)-1, errs)
			for _, tool := range r.Conversation.Tools {
				t.Log(tool.Says)
			}
		}
	}
	w.nothingLeft(t)
	run := w.mcpen(t, "run", "npm:looks")
	run.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}
`)
	out, err := run.Output()
	if err != nil || !strings.Contains(string(out), "mountinfo: ") || !strings.Contains(string(out), "mcpen/store/") {
		t.Errorf("in a plain run it finds no store: %v, %s", err, out)
	}
}
