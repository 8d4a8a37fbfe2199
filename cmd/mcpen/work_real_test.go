//go:build integration

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// work is people's work in a folder of their own. It runs in bash, in an empty folder
// "it", and prints its findings.
type work struct {
	name   string
	needs  []string // programs
	script string
	beside string // runs outside at the same time
	varies string // paths whose content is never twice the same
}

const mkRepo = `git init -q repo; cd repo
for i in $(seq 60); do mkdir -p d$((i%7)); echo "file $i" > d$((i%7))/f$i; done
git add -A; git commit -qm first
git checkout -qb other; echo other > CLAUDE.md; echo other > .envrc; echo more > d1/f1; git add -A; git commit -qm second
git checkout -q -; cd ..
`

// works are the works that must come out the same.
var works = []work{
	{name: "git", needs: []string{"git"}, varies: `/\.git/(.*/)?(index|logs/|COMMIT_EDITMSG|ORIG_HEAD)`, script: mkRepo + `
git clone -q --no-hardlinks repo clone; cd clone; git status --porcelain; git checkout -q other; cat CLAUDE.md
echo work > d2/new; git add -A; git commit -qm third; git rebase -q origin/HEAD 2>&1 || git rebase --abort; git stash list; git gc -q; git fsck 2>&1; git log --format=%s; git worktree add -q ../tree; ls ../tree | wc -l`},
	{name: "npm", needs: []string{"npm"}, script: `mkdir -p dep/lib app; cd dep; echo '{"name":"dep","version":"1.0.0","bin":{"dep":"lib/x.js"}}' > package.json
for i in $(seq 40); do echo "exports.x=$i" > lib/f$i.js; done; echo '#!/usr/bin/env node' > lib/x.js; echo 'console.log(require("./f7").x)' >> lib/x.js; npm pack --silent; cd ../app
echo '{"name":"app","version":"1.0.0","dependencies":{"dep":"file:../dep/dep-1.0.0.tgz"}}' > package.json
npm install --offline --no-audit --no-fund --no-update-notifier --silent; npm ci --offline --no-audit --no-fund --no-update-notifier --silent; node_modules/.bin/dep; npm ls`, varies: `\.tgz$|package-lock\.json$`},
	{name: "pytest", needs: []string{"python3", "pytest"}, script: `export PYTHONDONTWRITEBYTECODE=
mkdir t; echo 'import os, pathlib
def test_tmp(tmp_path): (tmp_path/"a").write_text("x"); os.rename(tmp_path/"a", tmp_path/"b"); assert (tmp_path/"b").read_text() == "x"
def test_here(): pathlib.Path("made").write_text("x"); os.chmod("made", 0o640); os.utime("made", (1, 1)); assert os.stat("made").st_mtime == 1
def test_fails(): assert open("made").read() == "y"' > t/test_it.py
python3 -m pytest -q --basetemp=base t 2>&1 | sed 's/ in [0-9.]*s.*//'; ls base/*`, varies: `\.pyc$|\.pytest_cache|\.tag$`},
	{name: "go", needs: []string{"go"}, script: `export GOCACHE=$PWD/cache GOFLAGS=-trimpath GOPROXY=off GOTOOLCHAIN=local GOTELEMETRY=off
mkdir m; cd m; printf 'module m\ngo 1.20\n' > go.mod; printf 'package main\nfunc main() { println(add(1, 2)) }\nfunc add(a, b int) int { return a + b }\n' > main.go
printf 'package main\nimport "testing"\nfunc TestAdd(t *testing.T) { if add(1, 2) != 3 { t.Fatal() } }\n' > main_test.go
go build -buildvcs=false -o it . && ./it 2>&1; go test . 2>&1 | sed 's/[0-9.]*s$//'`, varies: `^cache`},
	{name: "cargo", needs: []string{"cargo", "cc"}, script: `mkdir -p c/src; cd c; printf '[package]\nname = "c"\nversion = "0.1.0"\nedition = "2021"\n' > Cargo.toml
printf 'fn main() { println!("{}", 1 + 2) }\n#[test]\nfn adds() { assert_eq!(1 + 2, 3) }\n' > src/main.rs
cargo build -q --offline 2>&1; ./target/debug/c; cargo test -q --offline 2>&1 | grep -o '[0-9]* passed'`, varies: `^c/target`},
	{name: "sqlite", needs: []string{"python3"}, script: writeRows("inside") + `
until [ -e outside.done ]; do sleep 0.05; done
python3 - <<'X'
import sqlite3
d = sqlite3.connect("it.db", timeout=60)
print(d.execute("select who, count(*) from t group by who order by who").fetchall(), d.execute("pragma integrity_check").fetchall(), d.execute("pragma journal_mode").fetchall())
d.close()
X`, beside: writeRows("outside"), varies: `it\.db`},
	{name: "editors", needs: []string{"vim", "ed", "sed", "python3"}, script: `for how in yes no auto; do printf 'one\ntwo\n' > v.$how; ln v.$how v.$how.link; chmod 640 v.$how
vim -u NONE -N -i NONE -es --cmd 'set nocp' -c "set backup backupcopy=$how" -c '%s/one/ONE/' -c wq v.$how </dev/null; cat v.$how v.$how.link; done
printf 'a\n' > e; printf 's/a/b/\nw\nq\n' | ed -s e; sed -i.bak s/b/c/ e; cat e e.bak
python3 - <<'X'
import os, tempfile
fd, name = tempfile.mkstemp(dir="."); os.write(fd, b"new\n"); os.fsync(fd); os.fchmod(fd, 0o644); os.close(fd); os.replace(name, "e")
d = os.open(".", os.O_RDONLY); os.fsync(d); os.close(d)
X
cat e; stat -c '%a %h %n' *`},
}

// writeRows has one of two writers add rows to a database in WAL mode.
func writeRows(who string) string {
	return fmt.Sprintf(`python3 - <<'X'
import sqlite3, time
for _ in range(200):
    try:
        d = sqlite3.connect("it.db", timeout=60, isolation_level=None)
        d.execute("pragma journal_mode=wal"); d.execute("create table if not exists t (who, n)"); break
    except sqlite3.OperationalError: time.sleep(.02)
for n in range(150):
    d.execute("begin immediate"); d.execute("insert into t values (?, ?)", (%q, n)); d.execute("commit")
d.close(); open(%q, "w").close()
X
`, who, who+".done")
}

// A tool that works otherwise in a folder that mcpen writes for it is one that people
// take out of its sandbox.
func TestRealWorkIsAsWithoutMcpen(t *testing.T) {
	bin := realBinary(t)
	for _, w := range works {
		t.Run(w.name, func(t *testing.T) {
			needsPrograms(t, w.needs)
			base := realFolder(t)
			bare, inside := filepath.Join(base, "bare"), filepath.Join(base, "inside")
			profile := workProfile(t, base, inside)
			want := doWork(t, w, bare, []string{"bash", "-c"})
			got := doWork(t, w, inside, []string{bin, "run", "--quiet", "--profile", profile, "--", "bash", "-c"})
			if got != want {
				t.Errorf("inside\n%s\noutside\n%s", got, want)
			}
			differing(t, bare, inside, w.varies)
		})
	}
}

// The person's own work in a folder, while a server writes there, is theirs.
func TestRealOwnWorkBesideAServer(t *testing.T) {
	bin := realBinary(t)
	own := work{varies: `/\.git/(index|logs/)|venv/|\.tgz$|package-lock\.json$|busy`, script: mkRepo + `cd repo; git checkout -q other; cat CLAUDE.md .envrc; git checkout -q -; ls -A; git checkout -q other; cd ..
python3 -m venv --without-pip venv; venv/bin/python -c 'print(1)'; ls -A venv
mkdir dep app; echo '{"name":"dep","version":"1.0.0","bin":{"dep":"x.js"}}' > dep/package.json; echo '#!/usr/bin/env node' > dep/x.js; (cd dep; npm pack --silent)
cd app; echo '{"name":"app","version":"1.0.0","dependencies":{"dep":"file:../dep/dep-1.0.0.tgz"}}' > package.json; npm install --offline --no-audit --no-fund --no-update-notifier --silent; ls -A . node_modules/.bin
mkdir .vscode .claude; printf '{"a":1}\n' > .vscode/settings.json; printf '{"a":1}\n' > .mcp.json; sed -i s/1/2/ .vscode/settings.json .mcp.json; cat .vscode/settings.json .mcp.json; stat -c '%a %n' .mcp.json .vscode/*`}
	needsPrograms(t, []string{"git", "npm", "python3"})
	base := realFolder(t)
	alone, beside := filepath.Join(base, "alone"), filepath.Join(base, "beside")
	want := doWork(t, own, alone, []string{"bash", "-c"})
	if err := os.Mkdir(beside, 0o755); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(bin, "run", "--quiet", "--profile", workProfile(t, base, beside), "--", "bash", "-c", `cd "$0"; while :; do echo x > busy; mv busy busy.2; mkdir -p busy.d; rmdir busy.d; done`, beside)
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); server.Process.Signal(os.Interrupt); server.Wait() }()
	await(t, filepath.Join(beside, "busy.2"))
	if got := doWork(t, own, beside, []string{"bash", "-c"}); got != want {
		t.Errorf("beside a server\n%s\nalone\n%s", got, want)
	}
	differing(t, alone, beside, own.varies)
}

func await(t *testing.T, file string) {
	t.Helper()
	for range 500 {
		if _, err := os.Stat(file); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s was never made", file)
}

func needsPrograms(t *testing.T, programs []string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
}

// workProfile lets a server do the work of a developer's tools in a folder.
func workProfile(t *testing.T, base, dir string) string {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, filepath.Base(dir)+".toml")
	text := fmt.Sprintf(`version = 1
name = "work"
extends = ["node"]
[filesystem]
write = [%q]
read = ["/usr/local", "?%s/.pyenv", "?%s/.cargo/bin", "?%s/.rustup"]
unprotect = [%q, %q, %q, %q]
[env]
pass = ["PATH"]
[limits]
processes = 512
`, dir, home, home, home, dir+"/**/.git", dir+"/**/node_modules", dir+"/**/CLAUDE.md", dir+"/**/.envrc")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// workEnv makes the work the same wherever and whenever it is done.
func workEnv(t *testing.T) string {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return `export TZ=UTC GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@localhost GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@localhost
export GIT_AUTHOR_DATE=2026-01-01T00:00:00Z GIT_COMMITTER_DATE=2026-01-01T00:00:00Z
export PYENV_ROOT=` + home + `/.pyenv RUSTUP_HOME=` + home + `/.rustup CARGO_HOME=/tmp/cargo
`
}

// doWork does the work in a new folder and returns its output.
func doWork(t *testing.T, w work, dir string, shell []string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if w.beside != "" {
		beside := exec.Command("bash", "-c", w.beside)
		beside.Dir = dir
		if err := beside.Start(); err != nil {
			t.Fatal(err)
		}
		defer beside.Wait()
	}
	cmd := exec.Command(shell[0], append(shell[1:], `cd "$0" && exec 2>&1 && umask 022
`+workEnv(t)+`(`+w.script+`
) > "$0/said" < /dev/null`, dir)...)
	cmd.Dir = dir
	in, err := cmd.StdinPipe() // open to the end: a server ends with it
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	said, err := os.ReadFile(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	return strings.ReplaceAll(string(said), dir, "DIR")
}

// differing compares two folders: names, types, modes, and the contents of files.
func differing(t *testing.T, want, got, varies string) {
	t.Helper()
	a, b := inventory(t, want, varies), inventory(t, got, varies)
	for name, is := range a {
		if b[name] != is {
			t.Errorf("%s is %q, and without mcpen %q", name, b[name], is)
		}
	}
	for name, is := range b {
		if _, ok := a[name]; !ok {
			t.Errorf("%s is %q, and without mcpen not there", name, is)
		}
	}
}

func inventory(t *testing.T, dir, varies string) map[string]string {
	t.Helper()
	other := regexp.MustCompile(varies)
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, info := strings.TrimPrefix(p, dir+"/"), fs.FileInfo(nil)
		if info, err = d.Info(); err != nil || p == dir || varies != "" && other.MatchString(rel) {
			return err
		}
		is := info.Mode().String()
		switch info.Mode().Type() {
		case 0:
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			is += fmt.Sprintf(" %x", sha256.Sum256(bytes.ReplaceAll(data, []byte(dir), []byte("DIR"))))
		case fs.ModeSymlink:
			to, _ := os.Readlink(p)
			is += " to " + strings.ReplaceAll(to, dir, "DIR")
		}
		all[rel] = is
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
