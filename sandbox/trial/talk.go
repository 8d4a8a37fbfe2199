package trial

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Bounds on a program's output.
const (
	maxLine   = 16 << 20 // bytes
	maxStdout = 24 << 20 // bytes in all
	maxStderr = 64 << 20
	keptWords = 4 << 10 // of stderr
	// maxDecoded is the number of bytes in which secrets are also searched for in
	// encoded forms: a flood of output stays on this machine.
	maxDecoded = 8 << 20
)

// answered is the place of a canary in the program's stdout.
const answered = "what it answered"

// talk is a conversation with a program on trial, and trusts nothing in it. Only one
// goroutine at a time may call its methods.
type talk struct {
	in     *os.File
	record *record
	desk   *Desk
	modern string // the revision, in the era without a handshake; "": the older era

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	ended   chan struct{} // closed at the end of stdout
	mark    string        // the line after which it is over; "" for none
	marked  chan struct{} // closed at that line
	said    int64
	garbage int            // lines that are not messages
	sample  string         // the first of them
	asked   map[string]int // the program's requests to the client
	flooded bool
}

type answer struct {
	result json.RawMessage
	err    *answerError
}

type answerError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *answerError) Error() string {
	return fmt.Sprintf("error %d: %s", e.Code, visible(e.Message))
}

var errEnded = errors.New("it ended")

func newTalk(in *os.File, r *record, d *Desk) *talk {
	return &talk{in: in, record: r, desk: d, waiting: map[int]chan answer{}, ended: make(chan struct{}), marked: make(chan struct{}), asked: map[string]int{}}
}

// listen reads the program's output until it ends. If there is too much, it calls
// flood.
func (t *talk) listen(out io.Reader, flood func()) {
	defer close(t.ended)
	r := bufio.NewReaderSize(out, 64<<10)
	w := t.record.index.watch(t.record.way(answered), func(h Hit) { t.record.leak(h, answered, false) })
	w.most = maxDecoded
	defer w.Close()
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		t.mu.Lock()
		t.said += int64(len(part))
		over := t.said > maxStdout
		t.mu.Unlock()
		if over {
			t.mu.Lock()
			t.flooded = true
			t.mu.Unlock()
			flood()
			io.Copy(io.Discard, r)
			return
		}
		w.Write(part)
		if len(line) <= maxLine {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if t.mark != "" && string(bytes.TrimSpace(line)) == t.mark {
			t.mark = ""
			close(t.marked)
		} else if len(line) > 0 {
			w.look()
			t.hear(line)
		}
		line = line[:0]
		if err != nil {
			return
		}
	}
}

// hear handles one line.
func (t *talk) hear(line []byte) {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Result json.RawMessage `json:"result"`
		Error  *answerError    `json:"error"`
	}
	if len(line) > maxLine || json.Unmarshal(line, &m) != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.garbage++; t.sample == "" {
			t.sample = visible(string(bytes.TrimRight(line[:min(len(line), 200)], "\r\n")))
		}
		return
	}
	if m.Method != "" {
		t.mu.Lock()
		if len(t.asked) < 64 {
			t.asked[visible(m.Method)]++
		}
		t.mu.Unlock()
		if len(m.ID) > 0 {
			t.reply(m.ID, m.Method)
		}
		return
	}
	var id int
	if json.Unmarshal(m.ID, &id) != nil {
		return
	}
	t.mu.Lock()
	ch := t.waiting[id]
	delete(t.waiting, id)
	t.mu.Unlock()
	if ch != nil {
		ch <- answer{m.Result, m.Error}
	}
}

// reply answers the program's requests to its client, as a client whose user declines.
func (t *talk) reply(id json.RawMessage, method string) {
	m := map[string]any{"jsonrpc": "2.0", "id": id}
	switch method {
	case "ping":
		m["result"] = struct{}{}
	case "roots/list":
		m["result"] = map[string]any{"roots": []any{map[string]string{"uri": "file://" + t.desk.Workspace, "name": "storefront"}}}
	case "elicitation/create":
		m["result"] = map[string]any{"action": "decline"}
	default:
		m["error"] = map[string]any{"code": -32601, "message": "Method not found"}
	}
	t.write(m)
}

// write sends a message. A program that does not read delays it only for a limited
// time.
func (t *talk) write(m map[string]any) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	t.in.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err = t.in.Write(append(line, '\n'))
	return err
}

// ask sends a request and waits for its answer.
func (t *talk) ask(ctx context.Context, method string, params map[string]any, limit time.Duration) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	if params == nil {
		params = map[string]any{}
	}
	if t.modern != "" {
		params["_meta"] = map[string]any{"io.modelcontextprotocol/protocolVersion": t.modern,
			"io.modelcontextprotocol/clientInfo": client(), "io.modelcontextprotocol/clientCapabilities": capabilities()}
	}
	t.mu.Lock()
	t.last++
	id, ch := t.last, make(chan answer, 1)
	t.waiting[id] = ch
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.waiting, id)
		t.mu.Unlock()
	}()
	if err := t.write(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params}); err != nil {
		return nil, errEnded
	}
	select {
	case a := <-ch:
		if a.err != nil {
			return nil, a.err
		}
		return a.result, nil
	case <-t.ended:
		select {
		case a := <-ch: // the last message
			if a.err == nil {
				return a.result, nil
			}
		default:
		}
		return nil, errEnded
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer within %s", time.Since(began).Round(time.Second)) // or what was left of the trial
	}
}

// client is the client's name for the program: a common client, and not a trial.
func client() map[string]string { return map[string]string{"name": "claude-ai", "version": "0.1.0"} }

func capabilities() map[string]any {
	return map[string]any{"roots": map[string]any{"listChanged": true}, "sampling": struct{}{}, "elicitation": struct{}{}}
}

// words keeps the end of a program's stderr.
type words struct {
	mu   sync.Mutex
	text []byte
	n    int64
}

func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n += int64(len(b))
	w.text = append(w.text, b...)
	if len(w.text) > 2*keptWords {
		w.text = append(w.text[:0], w.text[len(w.text)-keptWords:]...)
	}
	return len(b), nil
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return visibleLines(string(w.text[max(0, len(w.text)-keptWords):]))
}
