package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mcpen/sandbox/trial"
)

// keyedServer does what its first argument says if it lacks a variable, and sends none to
// anybody.
const keyedServer = `
import json, os, sys
what = sys.argv[1]
tools = [{"name": "look", "description": "Looks something up.", "inputSchema": {"type": "object"}}]
if what == "silent" and not os.environ.get("FORECAST_API_KEY"):
    sys.exit(1)
if what == "telling":
    name = "_".join(["ATLAS", "API", "KEY"])
    if name not in os.environ:
        sys.exit("Error: %s environment variable is required" % name)
if what == "lists" and "CATALOG_TOKEN" not in os.environ and not os.getenv("CATALOG_TOKEN"):
    tools = []
if what == "two":
    for name in ("LEFT_SECRET", "RIGHT_SECRET"):
        if not os.environ.get(name) and os.getenv("LEFT_SECRET") != os.getenv("RIGHT_SECRET"):
            sys.exit("no " + name)
    if not os.getenv("LEFT_SECRET"):
        sys.exit("no LEFT_SECRET")
if what == "word":
    name = "_".join(["DEPOT", "REGION"])
    if name not in os.environ:
        sys.exit("KeyError: '%s'" % name)
if what == "without":
    os.environ.get("STRIPE_SECRET_KEY")
    os.environ.get("KEYED_TOKEN")
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m:
        continue
    result = {}
    if m["method"] == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "keyed", "version": "1"}}
    if m["method"] == "tools/list":
        result = {"tools": tools}
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": result}), flush=True)
`

// listsOf starts a profile with variables, and asks for the tools.
func (w *world) listsOf(t *testing.T, profile string, env ...string) (out, errs string, exit int) {
	t.Helper()
	cmd := w.mcpen(t, "run", profile)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}` + "\n" +
		`{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{}}` + "\n")
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	_ = cmd.Run() // its exit status is looked at
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// A server that does not start without a key is started by the profile that its trial
// wrote, though no call of the trial sent the key anywhere. Without the key the profile
// says which variable is missing. One that is called after the server may be unset, and a key
// that only lies in its code is not given away.
func TestTryWritesTheKeysThatItNeeds(t *testing.T) {
	w := triedWorld(t)
	w.write(t, "keyed/keyed.py", keyedServer)
	trials(t, map[string][]string{ // the variables of the profile
		"silent": {"FORECAST_API_KEY"}, "telling": {"ATLAS_API_KEY"}, "lists": {"CATALOG_TOKEN"}, "two": {"LEFT_SECRET", "RIGHT_SECRET"}, "word": {"DEPOT_REGION"}, "without": nil,
	}, func(t *testing.T, what string, names []string) {
		profile := filepath.Join(w.home, what+".toml")
		out, errs, exit := w.trying(t, "--call", "none", "--write", profile, "--", "/usr/bin/python3", "keyed/keyed.py", what)
		text := w.read(t, what+".toml")
		if exit != 0 || !strings.Contains(out, "it starts and lists the same 1 tool; 0 refusals") {
			t.Fatalf("exit status %d: %s%s\n%s", exit, out, errs, text)
		}
		if n := strings.Count(text, "\n[params."); n != len(names)+1 || !strings.Contains(text, "[params.keyed_token]\ntype = \"secret\"\ndefault = \"?env:KEYED_TOKEN\"\ndescription = \"KEYED_TOKEN, which its code reads\"") {
			t.Errorf("it has %d parameters, or not the one that is called after the server:\n%s", n, text)
		}
		var set []string
		for _, name := range names {
			set = append(set, name+"=a-value")
			param := "[params." + strings.ToLower(name) + "]\ntype = \"secret\"\ndefault = \"env:" + name + "\"\n"
			if what == "word" {
				param = "[params." + strings.ToLower(name) + "]\ntype = \"string\"\nenv = \"" + name + "\"\n"
			}
			if !strings.Contains(text, param) || !strings.Contains(text, name+" = \"${"+strings.ToLower(name)+"}\" # which ") && !strings.Contains(text, name+" = \"${"+strings.ToLower(name)+"}\" # without which ") {
				t.Errorf("%s is no parameter with its reason:\n%s", name, text)
			}
		}
		if said, errs, exit := w.listsOf(t, profile, set...); exit != 0 || !strings.Contains(said, `"look"`) {
			t.Errorf("with its variables: exit status %d: %s%s\n%s", exit, said, errs, text)
		}
		if len(names) == 0 {
			if strings.Contains(text, "STRIPE_SECRET_KEY = ") || !strings.Contains(text, "# It also reads: ") || !strings.Contains(text, ", STRIPE_SECRET_KEY.") {
				t.Errorf("a key that it does without:\n%s", text)
			}
			return
		}
		said, errs, exit := w.listsOf(t, profile)
		if exit != 2 || said != "" || strings.Count(errs, "error:") != 1 || !strings.Contains(errs, names[0]) && !strings.Contains(errs, strings.ToLower(names[0])) {
			t.Errorf("without its variables: exit status %d: %s%s", exit, said, errs)
		}
	})
	w.nothingLeft(t)
}

// A variable that a person gave to the trial is in the profile: a key by its name alone.
func TestTryWritesWhatItWasGiven(t *testing.T) {
	w := triedWorld(t)
	w.write(t, "keyed/keyed.py", keyedServer)
	profile := filepath.Join(w.home, "given.toml")
	out, errs, exit := w.trying(t, "--call", "none", "--env", "FORECAST_API_KEY=sk-not-for-a-file", "--env", "FORECAST_UNITS=${metric}", "--write", profile, "--", "/usr/bin/python3", "keyed/keyed.py", "silent")
	text := w.read(t, "given.toml")
	if exit != 0 || strings.Contains(text, "sk-not-for-a-file") || !strings.Contains(text, `FORECAST_UNITS = "$${metric}" # which it was given in the trial`) || !strings.Contains(text, `default = "env:FORECAST_API_KEY"`) {
		t.Fatalf("exit status %d: %s%s\n%s", exit, out, errs, text)
	}
	if said, errs, exit := w.listsOf(t, profile, "FORECAST_API_KEY=x"); exit != 0 || !strings.Contains(said, `"look"`) {
		t.Errorf("exit status %d: %s%s\n%s", exit, said, errs, text)
	}
}

// cutServer contacts its host, and then ends, or does not.
const cutServer = `
import json, os, sys, time, urllib.request
what = sys.argv[1]
def ask():
    try:
        urllib.request.urlopen("http://api.forecast.example/v1", timeout=5).read()
    except OSError:
        pass
if what == "hangs":
    ask()
    time.sleep(600)
if what in ("aborts", "killed", "eats"):
    ask()
if what == "aborts":
    os.abort()
if what == "killed":
    os.kill(os.getpid(), 9)
kept = []
while what == "eats":
    kept.append(b"x" * (64 << 20))
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m:
        continue
    result = {}
    if m["method"] == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "cut", "version": "1"}}
    if m["method"] == "tools/list":
        result = {"tools": [{"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}]}
    if m["method"] == "tools/call":
        ask()
        time.sleep(600)
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": result}), flush=True)
`

// A trial that ended early has its profile too: what the server reached for until then.
// A person whose server dies is not left with nothing.
func TestTryWritesThoughItWasCut(t *testing.T) {
	w := triedWorld(t)
	w.write(t, "cut/cut.py", cutServer)
	trials(t, map[string][3]string{ // a reason, the end of the server, and of the replay
		"hangs":  {"trial-cut", "signal terminated", "it answers neither with it nor without; 0 refusals"},
		"stays":  {"trial-cut", "signal terminated", "it starts and lists the same 1 tool; 0 refusals"},
		"aborts": {"no-conversation", "signal aborted", "it answers neither with it nor without; 0 refusals"},
		"killed": {"no-conversation", "signal killed", "it answers neither with it nor without; 0 refusals"},
		"eats":   {"no-conversation", "", "it answers neither with it nor without; 0 refusals"},
	}, func(t *testing.T, what string, want [3]string) {
		out, errs, _ := w.trying(t, "--json", "--limit", "12s", "--write", what+".toml", "--", "/usr/bin/python3", "cut/cut.py", what)
		var r trial.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v: %s%s", err, out, errs)
		}
		if all := append(codes(r, trial.Red), codes(r, trial.Amber)...); !slices.Contains(all, want[0]) || !strings.Contains(r.Start.Exit, want[1]) || r.Replay != want[2] {
			t.Errorf("it ended with %q, and the replay: %s; the reasons are %+v", r.Start.Exit, r.Replay, r.Verdict.Reasons)
		}
		text := w.read(t, what+".toml")
		if !strings.Contains(text, `"api.forecast.example:80", # `) || strings.Contains(text, "# It did not answer") == r.Conversation.Opened {
			t.Errorf("the profile lacks what it reached for:\n%s", text)
		}
		if out, err := w.mcpen(t, "check", what+".toml").CombinedOutput(); err != nil {
			t.Errorf("the profile is not one: %v\n%s", err, out)
		}
	})
	w.nothingLeft(t)
}
