// Package rpc is a read-only view of one JSON-RPC 2.0 line as MCP carries it
// over stdio. It finds what a decision needs (method, id, params, result) and
// hands out slices of the line itself; it never rewrites, repairs or reorders,
// so that what was inspected is what is forwarded.
//
// A line that two JSON readers could understand differently is refused rather
// than understood: an inspector whose reader keeps the first of two equal keys
// in front of a server that keeps the last inspects nothing (CVE-2026-27896,
// GO-2026-4770). What is refused, and why, is listed at Reason.
//
// The package keeps its own tokenizer because the standard one folds the case
// of keys, keeps the last duplicate and replaces what is not UTF-8. It
// allocates nothing for a line that it accepts, apart from scratch memory that
// is used again, and takes time linear in the line. Nothing in it is tied to
// one goroutine.
package rpc

// Kind says what a line is. The zero Kind is no message.
type Kind uint8

// The kinds of messages.
const (
	Invalid      Kind = iota
	Request           // method and id
	Notification      // method without id
	Response          // result and id
	Error             // error and id, which may be null or absent here
	Batch             // an array; nothing in it was looked at, and MCP has no batches since 2025-06-18
)

// String names the kind.
func (k Kind) String() string {
	names := [...]string{"invalid", "request", "notification", "response", "error", "batch"}
	if int(k) < len(names) {
		return names[k]
	}
	return "invalid"
}

// Message is the view of one line. Every slice is a part of the line and dies
// with it; a nil slice means that the member is absent. ID is a number or a
// string as it was written, quotes included, or null in an Error.
type Message struct {
	Kind   Kind
	ID     []byte
	Method string // with escapes undone
	Params []byte
	Result []byte
	Error  []byte // the error object, code and message within
}

// Reason says why a line was refused.
type Reason string

// The reasons. Each but LongID and the last six names a way in which readers in use
// differ, or one in which a reader can be exhausted.
const (
	DuplicateKey    Reason = "the same key twice in one object"         // first wins, last wins, or an error
	LookAlikeKey    Reason = "a key that some readers take for another" // encoding/json folds case, ſ and K (U+212A) included
	NULKey          Reason = "a key with a NUL"                         // C strings end there (GO-2026-4770)
	InvalidUTF8     Reason = "not UTF-8"                                // replaced, kept or refused
	LoneSurrogate   Reason = "half of a surrogate pair"                 // in a key, an id or a method: replaced, kept or refused
	NumberRange     Reason = "a number beyond the range of float64"     // infinity, an error, or exact
	LineBreak       Reason = "a line break inside the line"             // Python's text mode ends a line at CR
	TooDeep         Reason = "nested deeper than 128"                   // stack, or a reader's own limit
	TooManyMembers  Reason = "more members than 1048576"                // memory
	TooLong         Reason = "longer than 1 GiB"                        // offsets
	ResultAndError  Reason = "both result and error"                    // whichever a reader asks for first
	MethodAndAnswer Reason = "both a method and a result or an error"   // a request or an answer
	BadID           Reason = "an id that is neither a string nor a whole number"
	LongID          Reason = "an id of more than 1 KiB" // both sides keep ids until an answer comes
	BadMethod       Reason = "a method that is not a string"
	BadParams       Reason = "params that are neither an object nor an array"
	BadError        Reason = "an error that is not an object"
	BadVersion      Reason = `not "jsonrpc": "2.0"`
	NoMember        Reason = "neither a method nor a result nor an error"
	NoID            Reason = "an answer without an id"
	NotObject       Reason = "not a JSON object"
	Syntax          Reason = "not JSON"
	Trailing        Reason = "data behind the object"
)

// Refusal is the error of View and Fields.
type Refusal struct {
	Reason Reason
	Offset int // in bytes from the start of the line, where it was seen
}

// Error is one sentence without the line's own words.
func (r *Refusal) Error() string {
	return "cannot accept the line: " + string(r.Reason) + " at byte " + itoa(r.Offset)
}

func itoa(n int) string {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}

// Codes for ErrorReply. MCP keeps -32020 to -32099 to itself.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeNoMethod       = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
)
