package main

import (
	"bytes"
	_ "embed" // the servers
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"mcpen/sandbox/trial"
)

//go:embed testdata/try/server.py
var tryServer string

// inTriedWorld runs a test as everybody, in a home with the server of testdata/try.
func inTriedWorld(t *testing.T, test func(t *testing.T, w *world)) {
	if testing.Short() {
		t.Skip("starts servers: not with -short")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatalf("the tests of try need python3: %v", err)
	}
	asEverybody(t, func(t *testing.T, root string) {
		w := newWorld(t, filepath.Join(root, "home"))
		w.write(t, "server/server.py", tryServer)
		test(t, w)
	})
}

// tries holds a trial of one server, and returns its report and exit status.
func (w *world) tries(t *testing.T, what string, flags ...string) (trial.Report, int) {
	t.Helper()
	args := slices.Concat([]string{"try", "--json", "--watch", "300ms"}, flags, []string{"--", "python3", "server/server.py", what})
	cmd := w.mcpen(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("%v: %s", err, errs.String())
	}
	var r trial.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s%s", err, out.String(), errs.String())
	}
	return r, cmd.ProcessState.ExitCode()
}

// trials runs a trial of each server, several at a time: most of a trial is waiting.
func trials[T any](t *testing.T, servers map[string]T, test func(t *testing.T, what string, want T)) {
	t.Run("all", func(t *testing.T) {
		for what, want := range servers {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				test(t, what, want)
			})
		}
	})
}

func codes(r trial.Report, l trial.Level) (out []string) {
	for _, one := range r.Verdict.Reasons {
		if one.Level == l {
			out = append(out, one.Code)
		}
	}
	return out
}

// The flags that a trial refuses to sendmsg are good outside.
func TestTryFlagsOutside(t *testing.T) {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrInet4{Port: c.LocalAddr().(*net.UDPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Sendmsg(fd, []byte("x"), nil, to, unix.MSG_NOSIGNAL|unix.MSG_PROXY); err != nil {
		t.Error(err)
	}
}

// hostile are the servers that no honest one is like, each with the gravest reason for its
// verdict, and a word of it.
var hostile = map[string][2]string{
	"reads_ssh":                     {"decoy-read", "SSH private key"},
	"dns":                           {"canary-sent", "name servers of evil.example"},
	"post":                          {"canary-sent", "AWS secret key"},
	"allowed":                       {"canary-sent", "api.github.com:443"},
	"agent":                         {"canary-sent", "base64"},
	"result":                        {"canary-shown", "what it answered"},
	"shell_start_file":              {"trap", ".bashrc was changed"},
	"plants":                        {"trap", ".mcp.json was written"},
	"forks_away":                    {"orphan", "went on"},
	"listens":                       {"listens", "0.0.0.0:4444"},
	"scans":                         {"scan", "7 ports"},
	"metadata":                      {"metadata", "169.254.169.254"},
	"third":                         {"canary-sent", "late.example.org"},
	"not_in_ci":                     {"canary-sent", "OpenAI key, Notion token"},
	"everything_in_the_environment": {"canary-sent", "$DEPLOY_KEY"},
	"gzip":                          {"canary-sent", "wallet, gzip"},
	"raw":                           {"canary-sent", "relay.example.org:31337"},
	"writes_copy":                   {"canary-written", "/tmp/.cache-x"},
	"names_a_variable":              {"canary-sent", "$DEPLOY_KEY"},
	"small_pieces":                  {"canary-sent", "spread over names"},
	"two_requests":                  {"canary-sent", "base32"},
	"websocket":                     {"canary-sent", "ws.example.net:443"},
	"server_name":                   {"canary-sent", "93.184.215.14:443"},
	"file_name":                     {"canary-written", "$DEPLOY_KEY"},
	"description":                   {"canary-shown", "$DEPLOY_KEY"},
	"scans_around":                  {"scan", "8 machines of the network around"},
	"program_of_its_own":            {"trap", ".local/bin/git was written"},
	"orders_to_agents":              {"trap", "GEMINI.md was written"},
	"by_the_root_of_proc":           {"decoy-read", "SSH private key"},
	"by_a_hard_link":                {"decoy-read", "SSH private key"},
	"as_it_ends":                    {"decoy-read", "SSH private key"},
	"unless_it_is_tried":            {"decoy-read", "SSH private key"},
	"datagram":                      {"canary-sent", "192.0.2.9:9999"},
	"with_flags_that_are_not_seen":  {"decoy-read", "SSH private key"},
	"datagrams_in_parts":            {"canary-sent", "relay.example.org:31337"},
	"sleeps_on":                     {"orphan", "sleep, when it was told to end"},
}

// A thief that is not called one is the reason for which somebody asks.
func TestTryHostile(t *testing.T) {
	inTriedWorld(t, func(t *testing.T, w *world) {
		trials(t, hostile, func(t *testing.T, what string, why [2]string) {
			r, exit := w.tries(t, what)
			if r.Verdict.Level != trial.Red || exit != 3 {
				t.Fatalf("the verdict is %s, exit status %d: %+v", r.Verdict.Level, exit, r.Verdict.Reasons)
			}
			if first := r.Verdict.Reasons[0]; first.Code != why[0] || !strings.Contains(first.Text, why[1]) {
				t.Errorf("the first reason is %+v, want %v", first, why)
			}
		})
	})
}

// A verdict that is red for honest servers, too, says nothing.
func TestTryHonest(t *testing.T) {
	inTriedWorld(t, func(t *testing.T, w *world) {
		trials(t, map[string][]string{
			"nothing": nil, "keeps_a_cache": nil, "reads_what_it_is_told": nil, "fetches_what_it_is_told": nil, "runs_git": nil, "logs": nil,
			"keeps_a_database": nil, "talks_to_itself": nil, "writes_lines_of_blanks": nil, "has_a_helper": nil, "asks_for_the_time": {"udp"}, "asks_its_api": {"host"}, "reads_its_settings": {"workspace-secret"}, "counts_users": {"telemetry"},
		}, func(t *testing.T, what string, amber []string) {
			r, exit := w.tries(t, what)
			if exit != 0 || len(codes(r, trial.Red)) > 0 || !slices.Equal(codes(r, trial.Amber), amber) {
				t.Errorf("exit status %d: %+v, want amber: %v", exit, r.Verdict.Reasons, amber)
			}
			if c := r.Conversation; !c.Opened || len(c.Tools) != 1 || c.Tools[0].Outcome != "answered" {
				t.Errorf("it was not spoken to: %+v", c)
			}
		})
	})
}

// Whatever a server does instead of answering, the report comes, and in time.
func TestTryBroken(t *testing.T) {
	inTriedWorld(t, func(t *testing.T, w *world) {
		trials(t, map[string]string{
			"crashes": "no-conversation", "exits_at_once": "no-conversation", "aborts": "no-conversation", "hangs": "no-conversation", "floods": "flood", "says_garbage": "garbage", "never_ends": "stops", "never_answers": "no-answer",
		}, func(t *testing.T, what, code string) {
			r, _ := w.tries(t, what, "--limit", "15s")
			if all := append(codes(r, trial.Red), codes(r, trial.Amber)...); !slices.Contains(all, code) {
				t.Errorf("the reasons are %+v, want %s", r.Verdict.Reasons, code)
			}
			if r.Start.Stops == "" {
				t.Error("nothing says how it ended")
			}
		})
		w.nothingLeft(t)
	})
}

// nothingLeft checks that a trial's folders are gone.
func (w *world) nothingLeft(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(w.home, "run/*/*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(w.home, configDir)); err == nil {
		t.Error("something entered the user's profiles")
	}
}

// The screen is read in a terminal that a stranger could otherwise write to.
func TestTryScreen(t *testing.T) {
	inTriedWorld(t, func(t *testing.T, w *world) {
		for _, what := range []string{"says_garbage", "dns", "nothing", "post"} {
			cmd := w.mcpen(t, "try", "--watch", "100ms", "--", "python3", "server/server.py", what)
			out, _ := cmd.Output()
			text := strings.TrimSuffix(string(out), "\n")
			lines := strings.Split(text, "\n")
			if len(lines) > 24 || len(lines) < 6 {
				t.Errorf("%s: %d lines:\n%s", what, len(lines), text)
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(l); n > 80 {
					t.Errorf("%s: a line has %d columns: %s", what, n, l)
				}
			}
			if strings.ContainsAny(text, "\x1b\x07\u202e") {
				t.Errorf("%s: the terminal is told something:\n%q", what, text)
			}
		}
	})
}
