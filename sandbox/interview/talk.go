package interview

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/definition"
)

// talk is one conversation with a server.
type talk struct {
	era     era
	in      io.Writer
	out     *bufio.Reader
	version string // of this client
	last    int    // id of a request
	said    []Statement
}

// everything asks for all that there is. A server that does not open in time is
// ended with cancel.
func (t *talk) everything(ctx context.Context, cancel func()) ([]Statement, error) {
	late := time.AfterFunc(openingTime, cancel)
	result, err := t.open()
	late.Stop()
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer to %s within %s", t.era.opening, openingTime)
		}
		return nil, &noConversation{err}
	}
	if text := result["instructions"]; len(text) > 0 && text[0] == '"' {
		t.said = append(t.said, Statement{Kind: definition.KindInstructions, Raw: text})
	}
	identity := result["serverInfo"]
	if meta := object(result["_meta"]); t.era.opening != "initialize" {
		identity = meta["io.modelcontextprotocol/serverInfo"]
	}
	if object(identity) != nil {
		t.said = append(t.said, Statement{Kind: definition.KindIdentity, Raw: identity})
	}
	has := object(result["capabilities"])
	for _, l := range []struct {
		capability, method, key string
		kind                    definition.Kind
	}{
		{"tools", "tools/list", "tools", definition.KindTool},
		{"prompts", "prompts/list", "prompts", definition.KindPrompt},
		{"resources", "resources/list", "resources", definition.KindResource},
		{"resources", "resources/templates/list", "resourceTemplates", definition.KindTemplate},
	} {
		if _, ok := has[l.capability]; !ok {
			continue // no client asks for it
		}
		if err := t.list(l.method, l.key, l.kind); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("it did not tell everything within %s", describingTime)
			}
			return nil, err
		}
	}
	return t.said, nil
}

// open begins the conversation.
func (t *talk) open() (map[string]json.RawMessage, error) {
	if t.era.opening != "initialize" {
		result, err := t.ask(t.era.opening, map[string]any{})
		if err != nil {
			return nil, err
		}
		var versions []string
		if err := json.Unmarshal(result["supportedVersions"], &versions); err != nil || !slices.Contains(versions, t.era.revision) {
			return nil, fmt.Errorf("it does not know revision %s", t.era.revision)
		}
		return result, nil
	}
	result, err := t.ask(t.era.opening, map[string]any{"protocolVersion": t.era.revision, "capabilities": struct{}{}, "clientInfo": t.clientInfo()})
	if err != nil {
		return nil, err
	}
	return result, t.write(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
}

func (t *talk) clientInfo() map[string]string {
	return map[string]string{"name": "mcpen", "version": t.version}
}

// list reads one list, page by page.
func (t *talk) list(method, key string, kind definition.Kind) error {
	params := map[string]any{}
	for range maxPages {
		result, err := t.ask(method, params)
		var answer *answerError
		if errors.As(err, &answer) && answer.Code == CodeNoMethod {
			return nil // it has none of these
		}
		if err != nil {
			return err
		}
		var items []json.RawMessage
		if raw := result[key]; raw != nil {
			if err := json.Unmarshal(raw, &items); err != nil {
				return fmt.Errorf("its answer to %s holds no list", method)
			}
		}
		for _, raw := range items {
			t.said = append(t.said, Statement{Kind: kind, Raw: raw})
		}
		if len(t.said) > maxDefinitions {
			return fmt.Errorf("it has more than %d definitions", maxDefinitions)
		}
		var next *string
		if raw := result["nextCursor"]; raw != nil {
			if err := json.Unmarshal(raw, &next); err != nil {
				return fmt.Errorf("its answer to %s has a cursor that is no text", method)
			}
		}
		if next == nil {
			return nil
		}
		params = map[string]any{"cursor": *next}
	}
	return fmt.Errorf("its answer to %s has more than %d pages", method, maxPages)
}

// answerError is a server's answer that says no.
type answerError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	method  string
}

func (e *answerError) Error() string {
	return fmt.Sprintf("it answered %s with error %d: %s", e.method, e.Code, audit.Visible(e.Message))
}

// ask sends a request and waits for the answer. It also answers the server's own
// requests meanwhile: some servers wait for that.
func (t *talk) ask(method string, params map[string]any) (map[string]json.RawMessage, error) {
	t.last++
	if t.era.opening != "initialize" {
		params["_meta"] = map[string]any{"io.modelcontextprotocol/protocolVersion": t.era.revision,
			"io.modelcontextprotocol/clientInfo": t.clientInfo(), "io.modelcontextprotocol/clientCapabilities": struct{}{}}
	}
	if err := t.write(map[string]any{"jsonrpc": "2.0", "id": t.last, "method": method, "params": params}); err != nil {
		return nil, fmt.Errorf("it ended before it was asked for %s", method)
	}
	for {
		line, err := t.out.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("it ended before it answered %s", method)
		}
		m := object(line)
		switch {
		case m["method"] != nil && m["id"] != nil:
			if err := t.answer(m); err != nil {
				return nil, fmt.Errorf("it ended before it answered %s", method)
			}
		case string(m["id"]) != fmt.Sprint(t.last):
		case m["error"] != nil:
			refused := &answerError{method: method}
			if err := json.Unmarshal(m["error"], refused); err != nil {
				return nil, fmt.Errorf("it answered %s with an error that cannot be read", method)
			}
			return nil, refused
		default:
			result := object(m["result"])
			if result == nil {
				return nil, fmt.Errorf("its answer to %s is no object", method)
			}
			return result, nil
		}
	}
}

// answer tells the server that this client lives and does nothing for it.
func (t *talk) answer(m map[string]json.RawMessage) error {
	reply := map[string]any{"jsonrpc": "2.0", "id": m["id"]}
	if string(m["method"]) == `"ping"` {
		reply["result"] = struct{}{}
	} else {
		reply["error"] = map[string]any{"code": CodeNoMethod, "message": "this client only reads descriptions"}
	}
	return t.write(reply)
}

func (t *talk) write(message map[string]any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = t.in.Write(append(line, '\n'))
	return err
}

// object is an object's members by their exact keys, or nil.
func object(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

// tail keeps the end of its input.
type tail struct{ text []byte }

func (t *tail) Write(b []byte) (int, error) {
	const most = 4096
	t.text = append(t.text, b...)
	if len(t.text) > most {
		t.text = slices.Clone(t.text[len(t.text)-most:])
	}
	return len(b), nil
}

// line is the last line that says something, safe to print.
func (t *tail) line() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return audit.Visible(strings.TrimSpace(lines[len(lines)-1]))
}
