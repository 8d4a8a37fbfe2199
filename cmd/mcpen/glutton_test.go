package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// gluttonServer says as much as it can to everything in a launcher that keeps
// something of it: ids, methods, messages, names, cursors, pages and definitions.
// None of its lines has more than twelve megabytes.
func gluttonServer(in io.Reader, out io.Writer) int {
	w := bufio.NewWriterSize(out, 1<<20)
	say := func(format string, args ...any) {
		fmt.Fprintf(w, format+"\n", args...)
	}
	big := func(megabytes int) string { return strings.Repeat("y", megabytes<<20) }
	n := 0
	for lines := bufio.NewScanner(in); lines.Scan(); w.Flush() {
		var m struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.ID == nil || m.Method == "" {
			continue
		}
		if m.Method == "initialize" {
			say(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"glutton","version":"1"}}}`, m.ID)
			continue
		}
		n++
		say(`{"jsonrpc":"2.0","id":"%d%s","method":"ping"}`, n, big(8))
		say(`{"jsonrpc":"2.0","id":"q%d","method":"%d%s"}`, n, n, big(4))
		say(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%d%s"}}`, n, big(8))
		say(`{"jsonrpc":"2.0","id":"%d%s","result":{}}`, n, big(4))
		items := map[string]string{"tools/list": "tools", "prompts/list": "prompts", "resources/list": "resources", "resources/templates/list": "resourceTemplates"}[m.Method]
		say(`{"jsonrpc":"2.0","id":%s,"result":{"nextCursor":"%d%s","%s":[%s]}}`, m.ID, n, strings.Repeat("c", 1<<(n%16)), items, gluttonItems(n, items))
	}
	return 0
}

// gluttonItems are twelve long definitions, a hundred less long ones, or many with
// long names.
func gluttonItems(n int, items string) string {
	count, name, text := 200, 1000, 0
	switch n % 8 {
	case 1:
		count, name, text = 12, 10, 1000<<10
	case 3:
		count, name, text = 100, 10, 80<<10
	case 5:
		count = 4000
	}
	var all []string
	for i := range count {
		label := fmt.Sprintf("%d_%d_%s", n, i, strings.Repeat("n", name))
		key := map[string]string{"resources": "uri", "resourceTemplates": "uriTemplate"}[items]
		if key == "" {
			key = "name"
		}
		all = append(all, fmt.Sprintf(`{"%s":"%s","description":"%s"}`, key, label, strings.Repeat("d", text)))
	}
	return strings.Join(all, ",")
}

// glut has a client ask for so many lists, and wants the launcher to have held no
// more than so many megabytes at any time.
//
//	glut NAME LISTS MEGABYTES
func glut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: glut NAME LISTS MEGABYTES")
	}
	lists, err := strconv.Atoi(args[1])
	ts.Check(err)
	most, err := strconv.Atoi(args[2])
	ts.Check(err)
	c := named(ts, args[0])
	for i := range lists {
		method := []string{"tools/list", "prompts/list", "resources/list", "resources/templates/list"}[(i+i/8)%4]
		if _, err := c.ask(method, map[string]any{"cursor": fmt.Sprint(i / 7)}); err != nil {
			ts.Fatalf("list %d: %v", i, err)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	ts.Check(err)
	for line := range strings.Lines(string(status)) {
		if peak, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(peak), "kB")))
			ts.Check(err)
			ts.Logf("at most %d MiB", kilobytes>>10)
			if kilobytes>>10 > most {
				ts.Fatalf("the launcher held %d MiB, want %d at most", kilobytes>>10, most)
			}
			return
		}
	}
	ts.Fatalf("no VmHWM in %s", status)
}
