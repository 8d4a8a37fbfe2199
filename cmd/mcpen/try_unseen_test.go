package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mcpen/sandbox/trial"
)

// unseenServer speaks what a trial cannot look into, and writes what comes back.
const unseenServer = `
import json, os, socket, ssl, sys, urllib.error, urllib.request
what = sys.argv[1]
def say(*words):
    print(*words, file=sys.stderr, flush=True)
def connect(name, port):
    return socket.create_connection((name, port), timeout=10)
if what == "pins":
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(cadata=open(os.path.join(os.path.dirname(__file__), "pinned.pem")).read())
    try:
        c.wrap_socket(connect("vault.example.com", 8443), server_hostname="vault.example.com").sendall(b"secret")
    except ssl.SSLError as e:
        say("refused:", e.reason)
if what == "postgres":
    s = connect("db.example.com", 5432)
    s.sendall(b"\0\0\0\x17\0\3\0\0user\0warehouse\0\0")
    s.close()
if what == "redis":
    s = connect("cache.example.com", 6379)
    s.sendall(b"*1\r\n$4\r\nPING\r\n")
    s.close()
if what == "asks":
    try:
        r = urllib.request.urlopen("https://api.example.com/v1/now", timeout=10)
    except urllib.error.HTTPError as e:
        r = e
    say("status", r.status, "type", r.headers["Content-Type"], "body", r.read().hex())
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m:
        continue
    result = {}
    if m["method"] == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "unseen", "version": "1"}}
    if m["method"] == "tools/list":
        result = {"tools": []}
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": result}), flush=True)
`

// unseenWorld is a home with that server, and a certificate that nobody else has.
func unseenWorld(t *testing.T) *world {
	t.Helper()
	w := triedWorld(t)
	w.write(t, "unseen/unseen.py", unseenServer)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pinned"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, own, own, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "unseen/pinned.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return w
}

// reported holds a trial of the server, and returns its report.
func (w *world) reported(t *testing.T, args ...string) (r trial.Report) {
	t.Helper()
	out, errs, exit := w.trying(t, slices.Concat([]string{"--json"}, args)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("exit status %d, %v: %s%s", exit, err, out, errs)
	}
	return r
}

// A conversation that a trial cannot read is on the report all the same: with whom, how it
// begins, and that its inside was not seen. Nobody takes silence for innocence.
func TestTryTellsWhatItCannotRead(t *testing.T) {
	w := unseenWorld(t)
	trials(t, map[string][4]string{ // the place, why it was not read, how it begins, and a word of the server's
		"pins":     {"vault.example.com:8443", "the program trusts certificates of its own only", `\x16\x03`, "refused: CERTIFICATE_VERIFY_FAILED"},
		"postgres": {"db.example.com:5432", "it is not HTTP", `user\x00warehouse`, ""},
		"redis":    {"cache.example.com:6379", "it is not HTTP", "PING", ""},
	}, func(t *testing.T, what string, want [4]string) {
		r := w.reported(t, "--", "/usr/bin/python3", "unseen/unseen.py", what)
		if len(r.Hosts) != 1 || r.Hosts[0].Name+":"+strconv.Itoa(int(r.Hosts[0].Port)) != want[0] {
			t.Fatalf("the hosts are %+v", r.Hosts)
		}
		if h := r.Hosts[0]; h.Connections != 1 || h.Requests != 0 || !strings.Contains(h.Unseen, want[1]) || !strings.Contains(h.Begins, want[2]) || h.TLS != (what == "pins") {
			t.Errorf("%+v", h)
		}
		if !slices.ContainsFunc(r.NotSeen, func(s string) bool { return strings.HasPrefix(s, "what it says to "+want[0]+": ") }) {
			t.Errorf("not seen: %q", r.NotSeen)
		}
		if !strings.Contains(r.Start.Words, want[3]) {
			t.Errorf("it says %q", r.Start.Words)
		}
	})
	// The twin: what is read is not among it.
	if r := w.reported(t, "--", "/usr/bin/python3", "unseen/unseen.py", "asks"); len(r.Hosts) != 1 || r.Hosts[0].Requests != 1 || r.Hosts[0].Unseen != "" || len(r.NotSeen) != 0 {
		t.Errorf("%+v, not seen: %q", r.Hosts, r.NotSeen)
	}
}

// The internet that is not real answers what a person says, to the last byte, so that a
// server is seen as it behaves with an answer, and without one.
func TestTryAnswersAsItIsTold(t *testing.T) {
	w := unseenWorld(t)
	const canned = "{\"weather\": \"h\u00e9\x00avy\"}\r\n"
	w.write(t, "canned.json", canned)
	w.write(t, "canned.txt", "")
	trials(t, map[string][3]string{
		"json":        {"200", "application/json", "{}\n"},
		"404":         {"404", "application/json", "{\"error\":\"not found\"}\n"},
		"503":         {"503", "text/plain", "Service Unavailable\n"},
		"canned.json": {"200", "application/json", canned},
		"canned.txt":  {"200", "text/plain; charset=utf-8", ""},
	}, func(t *testing.T, answer string, want [3]string) {
		r := w.reported(t, "--answer", answer, "--", "/usr/bin/python3", "unseen/unseen.py", "asks")
		line := "status " + want[0] + " type " + want[1] + " body " + hex.EncodeToString([]byte(want[2]))
		if !slices.Contains(strings.Split(strings.TrimSpace(r.Start.Words), "\n"), strings.TrimSpace(line)) {
			t.Errorf("the server was told %q, want %q", r.Start.Words, line)
		}
	})
	if out, errs, exit := w.trying(t, "--answer", "418", "--", "/usr/bin/python3", "unseen/unseen.py", "asks"); exit != 2 || out != "" || !strings.Contains(errs, "hint: --answer json, 404, 503 or a file") {
		t.Errorf("exit status %d: %s%s", exit, out, errs)
	}
}

// Where a listener for system calls cannot be had, as below a supervisor that has it
// already (EBUSY, seccomp(2)), the report says what it did not see, and a thief is red by
// what is seen otherwise.
func TestTryTellsWhatItDoesNotSee(t *testing.T) {
	w := triedWorld(t)
	const blind = "which files it opens and which programs it runs: this machine's system call filter cannot tell"
	var err error
	held := func(what string) (r trial.Report) {
		cmd := w.mcpen(t, "try", "--json", "--watch", "200ms", "--", "/usr/bin/python3", "server/server.py", what)
		if cmd.Path, err = exec.LookPath("confine"); err != nil {
			t.Fatal(err)
		}
		cmd.Args = append([]string{"confine", "notify"}, cmd.Args...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run() // its report is looked at
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s%s", err, out.String(), errs.String())
		}
		return r
	}
	if r := held("nothing"); !slices.Contains(r.NotSeen, blind) || r.Verdict.Level != trial.Green || len(r.Conversation.Tools) != 1 {
		t.Errorf("%s, not seen: %q: %+v", r.Verdict.Level, r.NotSeen, r.Verdict.Reasons)
	}
	for what, code := range map[string]string{"post": "canary-sent", "reads_ssh": "decoy-read", "plants": "trap"} {
		if r := held(what); !slices.Contains(codes(r, trial.Red), code) || !slices.Contains(r.NotSeen, blind) {
			t.Errorf("%s: %+v, not seen: %q", what, r.Verdict.Reasons, r.NotSeen)
		}
	}
	if r := w.reported(t, "--", "/usr/bin/python3", "server/server.py", "nothing"); slices.Contains(r.NotSeen, blind) {
		t.Errorf("the twin, with a listener of its own: %q", r.NotSeen)
	}
}
