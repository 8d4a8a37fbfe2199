//go:build integration

package profiles_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// trial adds to the common trial of a profile.
type trial struct {
	set   []string // parameters: $DIR is the workspace, $PORT that of a page on loopback
	env   []string
	calls []toolCall
	// refused lists correct refusals at the start: the server asks for things that no
	// profile grants.
	refused []string
	args    []string // behind the profile's own
	differs bool     // definitions name the home or the like: only the names are compared
	needs   func() string
	setup   func(*testing.T, *session)
	after   func(*testing.T, *session)
}

// cases lists the needs of the profiles and the calls to make.
var cases = map[string]trial{
	"everything":          {calls: []toolCall{{tool: "echo", args: `{"message":"baa"}`, want: "baa"}}},
	"sequential-thinking": {calls: []toolCall{{tool: "sequentialthinking", args: `{"thought":"one","nextThoughtNeeded":false,"thoughtNumber":1,"totalThoughts":1}`, want: "thoughtNumber"}}},
	"time":                {calls: []toolCall{{tool: "get_current_time", args: `{"timezone":"Europe/Berlin"}`, want: "Europe/Berlin"}}},
	"memory": {calls: []toolCall{
		{tool: "create_entities", args: `{"entities":[{"name":"Ada","entityType":"person","observations":["keeps sheep"]}]}`, want: "keeps sheep"},
		{tool: "read_graph", args: `{}`, want: "Ada"}}},
	"fetch": {set: []string{"sites=localhost:$PORT"}, args: []string{"--allow-private-ips"}, calls: []toolCall{{tool: "fetch", args: `{"url":"http://localhost:$PORT/"}`, want: "Sheep in a pen"}}},
	"filesystem": {set: []string{"dirs=$DIR"}, setup: withNotes, calls: []toolCall{
		{tool: "read_text_file", args: `{"path":"$DIR/notes.md"}`, want: "black sheep"},
		{tool: "write_file", args: `{"path":"$DIR/new.txt","content":"new"}`, want: "new.txt"},
		{tool: "read_text_file", args: `{"path":"/etc/shadow"}`, want: "denied", fails: true}},
		after: func(t *testing.T, s *session) { has(t, s, "new.txt", "new") }},
	"git": {setup: withRepository, calls: []toolCall{
		{tool: "git_log", args: `{"repo_path":"$DIR"}`, want: "first sheep"},
		{tool: "git_status", args: `{"repo_path":"$DIR"}`, want: "notes.md"}}},
	"git-commit": {setup: withRepository, calls: []toolCall{
		{tool: "git_add", args: `{"repo_path":"$DIR","files":["notes.md"]}`, want: "staged"},
		{tool: "git_commit", args: `{"repo_path":"$DIR","message":"second sheep"}`, want: "committed"}},
		after: func(t *testing.T, s *session) {
			if said := run(t, s.dir, "git", "log", "-1", "--format=%an <%ae> %s"); !strings.Contains(said, "Ada <ada@example.org> second sheep") {
				t.Errorf("the commit is %q", said)
			}
		}},
	"git-cyanheads": {setup: withRepository, calls: []toolCall{{tool: "git_log", args: `{"path":"$DIR"}`, want: "first sheep"}}},
	"excel": {set: []string{"dirs=$DIR"}, calls: []toolCall{
		{tool: "create_workbook", args: `{"path":"$DIR/flock.xlsx"}`, want: "flock.xlsx"},
		{tool: "write_range", args: `{"path":"$DIR/flock.xlsx","sheet":"Sheet1","at":"A1","rows":[["name","legs"],["Dolly",4]]}`},
		{tool: "read_range", args: `{"path":"$DIR/flock.xlsx","sheet":"Sheet1"}`, want: "Dolly"}}},
	"word": {set: []string{"dirs=$DIR"}, calls: []toolCall{
		{tool: "create_document", args: `{"filename":"$DIR/flock.docx","title":"Flock"}`, want: "flock.docx"},
		{tool: "add_paragraph", args: `{"filename":"$DIR/flock.docx","text":"Dolly is a sheep."}`, want: "added"},
		{tool: "get_document_text", args: `{"filename":"$DIR/flock.docx"}`, want: "Dolly"}}},
	"markitdown":      {set: []string{"dirs=$DIR"}, setup: withNotes, calls: []toolCall{{tool: "convert_to_markdown", args: `{"uri":"file://$DIR/page.html"}`, want: "# Wool"}}},
	"document-loader": {set: []string{"dir=$DIR"}, refused: []string{"events.data.microsoft.com"}},
	"mongodb":         {env: []string{"MDB_MCP_CONNECTION_STRING=mongodb://localhost:27017/"}},
	"neo4j":           {},
	"alchemy": {set: []string{"dirs=$DIR"}, env: []string{"DB_URL=sqlite:///$DIR/flock.db"}, calls: []toolCall{
		{tool: "execute_query", args: `{"query":"CREATE TABLE sheep (name TEXT)"}`},
		{tool: "execute_query", args: `{"query":"INSERT INTO sheep VALUES ('Dolly')"}`},
		{tool: "execute_query", args: `{"query":"SELECT name FROM sheep"}`, want: "Dolly"}}},
	"duckdb":    {set: []string{"dir=$DIR"}, calls: []toolCall{{tool: "execute_query", args: `{"sql":"SELECT 6*7 AS legs"}`, want: "42"}}},
	"atlassian": {env: []string{"JIRA_URL=https://you.atlassian.net", "JIRA_USERNAME=ada@example.org", "CONFLUENCE_URL=https://you.atlassian.net/wiki", "CONFLUENCE_USERNAME=ada@example.org"}},
	"repomix":   {setup: withRepository, calls: []toolCall{{tool: "pack_codebase", args: `{"directory":"$DIR"}`, want: "totalFiles"}}},
	"eslint":    {setup: withScript, calls: []toolCall{{tool: "lint-files", args: `{"filePaths":["$DIR/a.js"]}`, want: "no-unused-vars"}}},

	"playwright": {set: []string{"sites=localhost:$PORT"}, needs: program("chromium"), calls: []toolCall{
		{tool: "browser_navigate", args: `{"url":"http://localhost:$PORT/"}`, want: "A page"},
		{tool: "browser_snapshot", args: `{}`, want: "Sheep in a pen"},
		{tool: "browser_take_screenshot", args: `{}`, want: "image/png"}}},
	"chrome-devtools": {set: []string{"sites=localhost:$PORT"}, needs: program("chromium"), calls: []toolCall{
		{tool: "new_page", args: `{"url":"http://localhost:$PORT/"}`, want: "$PORT"},
		{tool: "take_snapshot", args: `{"pageId":2}`, want: "Sheep in a pen"},
		{tool: "take_screenshot", args: `{"pageId":2}`, want: "image/png"}}},
	"puppeteer": {set: []string{"sites=localhost:$PORT"}, needs: program("chromium"), calls: []toolCall{
		{tool: "puppeteer_navigate", args: `{"url":"http://localhost:$PORT/"}`, want: "Navigated"},
		{tool: "puppeteer_screenshot", args: `{"name":"pen"}`, want: "image/png"}}},
	"executeautomation-playwright": {set: []string{"sites=localhost:$PORT"}, needs: program("chromium"), calls: []toolCall{
		{tool: "playwright_navigate", args: `{"url":"http://localhost:$PORT/","headless":true}`, want: "Navigated"}}},

	"commands":    {setup: withNotes, calls: []toolCall{{tool: "run_command", args: `{"command":"cat notes.md; cat /etc/shadow; id -u > made"}`, want: "black sheep"}}, after: func(t *testing.T, s *session) { has(t, s, "made", "") }},
	"code-runner": {calls: []toolCall{{tool: "run-code", args: `{"code":"console.log(6*7)","languageId":"javascript"}`, want: "42"}}},
	"desktop-commander": {setup: withNotes, differs: true, refused: []string{"desktopcommander", "run.app", "googlechromelabs"}, calls: []toolCall{
		{tool: "read_file", args: `{"path":"$DIR/notes.md"}`, want: "black sheep"},
		{tool: "start_process", args: `{"command":"cat notes.md","timeout_ms":5000}`, want: "black sheep"}}},

	"postgres": {needs: withPrograms(postgres), setup: withPostgres, set: []string{"url=postgresql://ada@localhost:$DB/postgres", "port=$DB"},
		calls: []toolCall{{tool: "query", args: `{"sql":"SELECT 6*7 AS legs"}`, want: "42"}}},
	"mysql": {needs: program("mariadbd"), setup: withMaria, set: []string{"port=$DB", "user=ada", "database=test"},
		calls: []toolCall{{tool: "mysql_query", args: `{"sql":"SELECT 6*7 AS legs"}`, want: "42"}}},
	"redis": {needs: program("redis-server"), setup: withRedis, set: []string{"port=$DB"}, env: []string{"REDIS_PWD="},
		calls: []toolCall{{tool: "set", args: `{"key":"dolly","value":"wool"}`, want: "Success"}, {tool: "get", args: `{"key":"dolly"}`, want: "wool"}}},

	"neo4j-data-modeling": {calls: []toolCall{{tool: "list_example_data_models", args: `{}`, want: "patient"}}},
	"slack":               {set: []string{"team=T0123456"}},
	"xero":                {set: []string{"client=0123456789"}},
	"lara":                {set: []string{"id=0123456789"}},
	"gitlab":              {refused: nil},
}

func withNotes(t *testing.T, s *session) {
	must(t, os.WriteFile(filepath.Join(s.dir, "notes.md"), []byte("# Notes\nabout a black sheep\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(s.dir, "page.html"), []byte("<html><body><h1>Wool</h1></body></html>"), 0o644))
}

func withScript(t *testing.T, s *session) {
	must(t, os.WriteFile(filepath.Join(s.dir, "a.js"), []byte("const wool = 1;\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(s.dir, "eslint.config.mjs"), []byte("export default [{ rules: { \"no-unused-vars\": \"error\" } }];\n"), 0o644))
}

// withRepository makes a repository with one commit and one change, and an author's
// name.
func withRepository(t *testing.T, s *session) {
	config := filepath.Join(folder(t), "gitconfig")
	must(t, os.WriteFile(config, []byte("[user]\n\tname = Ada\n\temail = ada@example.org\n"), 0o644))
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	own := filepath.Join(s.lib.home, ".gitconfig")
	if _, err := os.Stat(own); err != nil {
		must(t, os.WriteFile(own, []byte("[user]\n\tname = Ada\n\temail = ada@example.org\n"), 0o644))
	}
	run(t, s.dir, "git", "init", "-q", "-b", "main")
	withNotes(t, s)
	run(t, s.dir, "git", "add", "-A")
	run(t, s.dir, "git", "commit", "-q", "-m", "first sheep")
	must(t, os.WriteFile(filepath.Join(s.dir, "notes.md"), []byte("# Notes\nabout a white sheep\n"), 0o644))
}

func run(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", argv, err, out)
	}
	return string(out)
}

// has wants a file of the workspace.
func has(t *testing.T, s *session, name, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil || !strings.Contains(string(got), want) {
		t.Errorf("%s holds %q, %v", name, got, err)
	}
}

func program(name string) func() string {
	return func() string {
		if _, err := exec.LookPath(name); err != nil {
			return name
		}
		return ""
	}
}

const postgres = "/usr/lib/postgresql/*/bin/postgres"

func withPrograms(pattern string) func() string {
	return func() string {
		if found, _ := filepath.Glob(pattern); len(found) == 0 { // the pattern is good
			return pattern
		}
		return ""
	}
}

// serve starts a server of the host's until the test ends, on a port that is then DB.
func (s *session) serve(t *testing.T, port string, argv ...string) {
	t.Helper()
	s.vars["DB"] = port
	cmd := exec.Command(argv[0], argv[1:]...)
	out := &said{}
	cmd.Stdout, cmd.Stderr = out, out
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(100 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("%s does not listen: %s", argv[0], out)
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func withPostgres(t *testing.T, s *session) {
	found, _ := filepath.Glob(postgres) // the pattern is good
	bin := filepath.Dir(found[len(found)-1])
	dir := filepath.Join(folder(t), "data")
	run(t, "/", filepath.Join(bin, "initdb"), "-D", dir, "-U", "ada", "-A", "trust", "--no-sync")
	port := freePort(t)
	s.serve(t, port, filepath.Join(bin, "postgres"), "-D", dir, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-F")
}

func withRedis(t *testing.T, s *session) {
	port := freePort(t)
	s.serve(t, port, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder(t))
}

func withMaria(t *testing.T, s *session) {
	dir := filepath.Join(folder(t), "data")
	run(t, "/", "mariadb-install-db", "--no-defaults", "--datadir="+dir, "--auth-root-authentication-method=normal", "--skip-test-db")
	script := filepath.Join(filepath.Dir(dir), "init.sql")
	must(t, os.WriteFile(script, []byte("CREATE DATABASE test;\nCREATE USER ada@localhost IDENTIFIED BY 'not-a-secret-0123456789abcdef';\nGRANT ALL ON test.* TO ada@localhost;\n"), 0o644))
	port := freePort(t)
	s.serve(t, port, "mariadbd", "--no-defaults", "--datadir="+dir, "--port="+port, "--bind-address=127.0.0.1", "--socket="+filepath.Join(dir, "s"), "--init-file="+script, "--pid-file="+filepath.Join(dir, "pid"))
}

// A watch that sees nothing would say that nothing was opened.
func TestLibraryDecoysAreWatched(t *testing.T) {
	home := folder(t)
	for _, name := range decoys {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o700))
		must(t, os.WriteFile(filepath.Join(home, name), []byte("x"), 0o600))
	}
	seen := watchDecoys(t, home)
	_, err := os.ReadFile(filepath.Join(home, ".netrc"))
	must(t, err)
	if got := seen(); len(got) != 1 || got[0] != ".netrc" {
		t.Errorf("the watch saw %q", got)
	}
}
