package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// arguments are those of all tools together; each takes its own.
type arguments struct {
	Path string `json:"path"`
	Text string `json:"text"`
	Host string `json:"host"`
	Port int    `json:"port"`
}

// tool is one tool: its description and its action.
type tool struct {
	name        string
	description string
	takes       []string // names of required arguments
	run         func(arguments) (string, error)
}

// types of the arguments in the tools' schemas.
var types = map[string]string{"path": "string", "text": "string", "host": "string", "port": "integer"}

// tools lists the server's tools.
var tools = []tool{
	{"read_file", "Read a file.", []string{"path"}, readFile},
	{"list_directory", "List a directory.", []string{"path"}, listDirectory},
	{"write_file", "Write text to a file.", []string{"path", "text"}, writeFile},
	{"connect", "Connect to a host by TCP and tell the first line of its answer to HEAD / HTTP/1.0.", []string{"host", "port"}, connect},
	{"environment", "Tell the names of the environment's variables.", nil, environment},
	{"processes", "Tell which processes can be seen.", nil, processes},
}

// definitions is the answer to tools/list.
func definitions() []any {
	var all []any
	for _, t := range tools {
		properties := map[string]any{}
		for _, name := range t.takes {
			properties[name] = map[string]string{"type": types[name]}
		}
		schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
		if t.takes != nil {
			schema["required"] = t.takes
		}
		all = append(all, map[string]any{"name": t.name, "description": t.description, "inputSchema": schema})
	}
	return all
}

// call runs a tool. A tool's failure is a result that says so.
func call(params json.RawMessage) (any, *failure) {
	var p struct {
		Name      string    `json:"name"`
		Arguments arguments `json:"arguments"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, &failure{codeArgument, "arguments of another type than the schema's"}
	}
	i := slices.IndexFunc(tools, func(t tool) bool { return t.name == p.Name })
	if i < 0 {
		return nil, &failure{codeArgument, fmt.Sprintf("no tool %q", p.Name)}
	}
	text, err := tools[i].run(p.Arguments)
	if err != nil {
		text = err.Error()
	}
	return modern(map[string]any{
		"content": []any{map[string]string{"type": "text", "text": text}},
		"isError": err != nil,
	}), nil
}

// maxRead limits the part of a file in an answer, in bytes.
const maxRead = 64 << 10

func readFile(a arguments) (string, error) {
	f, err := os.Open(a.Path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRead))
	return string(b), err
}

func listDirectory(a arguments) (string, error) {
	entries, err := os.ReadDir(a.Path)
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return strings.Join(names, "\n"), nil
}

func writeFile(a arguments) (string, error) {
	// Into the file that is there, or a new one: never a directory for it.
	f, err := os.OpenFile(a.Path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return "", err
	}
	n, err := f.WriteString(a.Text)
	if err := f.Close(); err != nil {
		return "", err
	}
	return fmt.Sprintf("wrote %d bytes to %s", n, filepath.Clean(a.Path)), err
}

// patience is how long a connection may take, and its answer after it.
const patience = 10 * time.Second

// connect asks as a browser would: only an answer shows that somebody is there. A proxy
// may stand between a program and the network and accept connections for others.
func connect(a arguments) (string, error) {
	to := net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
	c, err := net.DialTimeout("tcp", to, patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "HEAD / HTTP/1.0\r\nHost: %s\r\n\r\n", a.Host); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(io.LimitReader(c, maxRead)).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("connected to %s, but nobody answers: %w", to, err)
	}
	return to + " answers " + strings.TrimSpace(line), nil
}

// environment lists names and lengths only, so that a transcript is safe to show.
func environment(arguments) (string, error) {
	var names []string
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		names = append(names, fmt.Sprintf("%s (%d bytes)", name, len(value)))
	}
	slices.Sort(names)
	return strings.Join(names, "\n"), nil
}

func processes(arguments) (string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return "", err
	}
	var all []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		name, err := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		if err != nil {
			continue // it is gone
		}
		all = append(all, e.Name()+" "+strings.TrimSpace(string(name)))
	}
	return strings.Join(all, "\n"), nil
}
