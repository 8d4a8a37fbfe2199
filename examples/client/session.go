package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// session is one conversation with a server. It is for one goroutine.
type session struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	lines   chan []byte   // the server's output, a line each; closed at its end
	done    chan struct{} // closed by close
	timeout time.Duration
	next    int
}

// message is a line in either direction.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// start starts the server. The server's stderr goes to stderr unchanged.
func start(ctx context.Context, argv []string, timeout time.Duration, stderr io.Writer) (*session, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the server: %w", err)
	}
	s := &session{cmd: cmd, stdin: stdin, lines: make(chan []byte), done: make(chan struct{}), timeout: timeout}
	go s.read(stdout)
	return s, nil
}

// read gives the server's lines away until it ends or nobody takes them.
func (s *session) read(stdout io.Reader) {
	defer close(s.lines)
	r := bufio.NewReader(stdout)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			select {
			case s.lines <- line:
			case <-s.done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// initialize says hello and returns the server's description of itself.
func (s *session) initialize() (json.RawMessage, error) {
	result, err := s.ask("initialize", map[string]any{
		"protocolVersion": "2025-11-25",
		"capabilities":    struct{}{},
		"clientInfo":      map[string]string{"name": "example-client", "version": "1.0.0"},
	})
	if err != nil {
		return nil, err
	}
	return result, s.send(message{Method: "notifications/initialized"})
}

// tools lists the server's tools, all pages of them.
func (s *session) tools() ([]string, error) {
	var names []string
	for cursor := ""; ; {
		params := map[string]any{}
		if cursor != "" {
			params["cursor"] = cursor
		}
		result, err := s.ask("tools/list", params)
		if err != nil {
			return nil, err
		}
		var page struct {
			Tools []struct {
				Name string `json:"name"`
			} `json:"tools"`
			Next string `json:"nextCursor"`
		}
		if err := json.Unmarshal(result, &page); err != nil {
			return nil, fmt.Errorf("cannot read the list of tools: %w", err)
		}
		for _, t := range page.Tools {
			names = append(names, t.Name)
		}
		if cursor = page.Next; cursor == "" {
			return names, nil
		}
	}
}

// call calls a tool. A refusal by the server, or by a program in front of it, is an
// answer and no error.
func (s *session) call(tool, arguments string) (text string, failed bool, err error) {
	result, err := s.ask("tools/call", map[string]any{"name": tool, "arguments": json.RawMessage(arguments)})
	var refusal *refusal
	if errors.As(err, &refusal) {
		return refusal.Error(), true, nil
	}
	if err != nil {
		return "", false, err
	}
	var r struct {
		Content []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"content"`
		IsError bool `json:"isError"`
	}
	if err := json.Unmarshal(result, &r); err != nil {
		return "", false, fmt.Errorf("cannot read the answer of %s: %w", tool, err)
	}
	for i, c := range r.Content {
		if i > 0 {
			text += "\n"
		}
		if c.Type != "text" {
			c.Text = "[" + c.Type + "]"
		}
		text += c.Text
	}
	return text, r.IsError, nil
}

// refusal is an error of the protocol as an answer to a request.
type refusal struct {
	Code    int
	Message string
}

func (r *refusal) Error() string { return fmt.Sprintf("%s (%d)", r.Message, r.Code) }

// ask sends a request and waits for its answer. It answers the server's own requests
// meanwhile: this client can do nothing.
func (s *session) ask(method string, params any) (json.RawMessage, error) {
	p, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("cannot send %s: %w", method, err)
	}
	s.next++
	id := json.RawMessage(fmt.Sprint(s.next))
	if err := s.send(message{ID: id, Method: method, Params: p}); err != nil {
		return nil, err
	}
	late := time.After(s.timeout)
	for {
		select {
		case <-late:
			return nil, fmt.Errorf("no answer to %s in %v", method, s.timeout)
		case line, ok := <-s.lines:
			if !ok {
				return nil, fmt.Errorf("the server ended before it answered %s", method)
			}
			var m message
			if err := json.Unmarshal(line, &m); err != nil {
				return nil, fmt.Errorf("the server said what is not JSON-RPC: %q", line)
			}
			switch {
			case m.Method != "" && m.ID != nil:
				if err := s.decline(m); err != nil {
					return nil, err
				}
			case m.Method == "" && string(m.ID) == string(id):
				if m.Error != nil {
					return nil, &refusal{m.Error.Code, m.Error.Message}
				}
				return m.Result, nil
			}
		}
	}
}

// decline answers a request of the server's.
func (s *session) decline(m message) error {
	answer := message{ID: m.ID, Result: json.RawMessage("{}")}
	if m.Method != "ping" {
		answer.Result = nil
		answer.Error = &struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}{-32601, "this client has no " + m.Method}
	}
	return s.send(answer)
}

func (s *session) send(m message) error {
	m.Version = "2.0"
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := s.stdin.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("cannot write to the server: %w", err)
	}
	return nil
}

// close ends the conversation as MCP says: stdin ends first. It returns the
// server's exit code.
func (s *session) close() (int, error) {
	s.stdin.Close()
	close(s.done)
	for range s.lines {
		// Nobody reads the server's last output.
	}
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}
