package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// fakeServer is an MCP server whose tools act as a test asks. Its argument may be
// "stubborn": it ignores the end of its input and SIGTERM.
func fakeServer(args []string, in io.Reader, out io.Writer) int {
	stubborn := len(args) > 0 && args[0] == "stubborn"
	if stubborn {
		signal.Ignore(syscall.SIGTERM)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params struct {
				Name      string            `json:"name"`
				Arguments map[string]string `json:"arguments"`
			} `json:"params"`
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.ID == nil {
			continue
		}
		var result any
		switch m.Method {
		case "initialize":
			result = map[string]any{"protocolVersion": "2025-06-18", "capabilities": map[string]any{"tools": map[string]any{}},
				"serverInfo": map[string]string{"name": "fakemcp", "version": "1"}}
		case "tools/list":
			result = map[string]any{"tools": fakeTools()}
		case "tools/call":
			text, err := fakeCall(m.Params.Name, m.Params.Arguments)
			if err != nil {
				text = err.Error()
			}
			result = map[string]any{"isError": err != nil, "content": []any{map[string]string{"type": "text", "text": text}}}
		default:
			result = map[string]any{}
		}
		line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": result})
		if err != nil {
			return 70
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return 74
		}
	}
	for stubborn {
		time.Sleep(time.Hour)
	}
	return 0
}

func fakeTools() []any {
	var tools []any
	for _, name := range []string{"echo", "read", "write", "variable", "connect", "say", "leave", "die", "delete_all"} {
		tools = append(tools, map[string]any{"name": name, "description": "Does " + name + ".",
			"inputSchema": map[string]any{"type": "object", "additionalProperties": map[string]string{"type": "string"}}})
	}
	return tools
}

func fakeCall(name string, args map[string]string) (string, error) {
	switch name {
	case "echo", "delete_all":
		return name + " " + args["text"], nil
	case "read":
		data, err := os.ReadFile(args["path"])
		return string(data), err
	case "write":
		return "written", os.WriteFile(args["path"], []byte(args["text"]), 0o644)
	case "variable":
		v, ok := os.LookupEnv(args["name"])
		return fmt.Sprintf("%t %d", ok, len(v)), nil // never the value, which may be a secret
	case "connect":
		c, err := net.Dial("tcp", args["to"])
		if err != nil {
			return "", err
		}
		return "connected", c.Close()
	case "say":
		out := os.Stderr
		if args["on"] == "stdout" {
			out = os.Stdout
		}
		fmt.Fprintln(out, args["text"])
		return "said", nil
	case "leave":
		code, err := strconv.Atoi(args["code"])
		if err != nil {
			return "", err
		}
		os.Exit(code)
	case "die":
		n, err := strconv.Atoi(strings.TrimSpace(args["signal"]))
		if err != nil {
			return "", err
		}
		return "", syscall.Kill(os.Getpid(), syscall.Signal(n))
	}
	return "", fmt.Errorf("no tool %q", name)
}
