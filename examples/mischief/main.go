// Command mischief is an MCP server that does anything a client asks, and so shows the
// limits of a sandbox: it reads and lists any file, writes anywhere, connects to any
// host and reveals its environment. On its own it is as dangerous as the client that
// uses it; under mischief.toml it can do only the things in that profile.
//
// It speaks the revisions of MCP that begin with initialize, and 2026-07-28, which has
// none, over stdio.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "mischief: %v\n", err)
		os.Exit(1)
	}
}

// maxLine is the longest line that is read, in bytes.
const maxLine = 4 << 20

// request is a client's line. A notification has no ID.
type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// response answers a request.
type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *failure        `json:"error,omitempty"`
}

// failure is an error of the protocol. A tool that fails is none: its result
// says so.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// The codes of JSON-RPC that are used here.
const (
	codeParse    = -32700
	codeMethod   = -32601
	codeArgument = -32602
)

// serve answers one line after the other until stdin ends.
func serve(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	answers := json.NewEncoder(out)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var req request
		if err := json.Unmarshal(lines.Bytes(), &req); err != nil {
			if err := answers.Encode(response{Version: "2.0", ID: json.RawMessage("null"), Error: &failure{codeParse, "not JSON"}}); err != nil {
				return err
			}
			continue
		}
		if req.ID == nil {
			continue // a notification
		}
		result, fault := answer(req)
		if err := answers.Encode(response{Version: "2.0", ID: req.ID, Result: result, Error: fault}); err != nil {
			return err
		}
	}
	return lines.Err()
}

// answer is the result of one request, or the reason why there is none.
func answer(req request) (any, *failure) {
	switch req.Method {
	case "initialize":
		return initialize(req.Params)
	case "server/discover":
		return discover(), nil
	case "ping":
		return struct{}{}, nil
	case "tools/list":
		return modern(map[string]any{"tools": definitions(), "ttlMs": 0, "cacheScope": "public"}), nil
	case "tools/call":
		return call(req.Params)
	}
	return nil, &failure{codeMethod, "no method " + req.Method}
}
