// Package rpc is a read-only view of one JSON-RPC 2.0 line as MCP carries it over
// stdio. It finds the parts that a decision needs (method, id, params, result) and
// returns slices of the line itself. It never rewrites, repairs or reorders, so that
// the forwarded line is the inspected one.
//
// View refuses a line that two JSON readers could understand differently: if the
// inspector keeps the first of two equal keys and the server keeps the last, the
// inspection is worthless (CVE-2026-27896, GO-2026-4770). Reason lists the refusals.
//
// The package has its own tokenizer because the standard one folds the case of keys,
// keeps the last duplicate and replaces invalid UTF-8. It allocates nothing for a line
// that it accepts, apart from reused scratch memory, and its time is linear in the
// line. Any goroutine may use it.
package rpc

// Kind is the kind of a line. The zero Kind is not a message.
type Kind uint8

// The kinds of messages.
const (
	Invalid      Kind = iota
	Request           // method and id
	Notification      // method without id
	Response          // result and id
	Error             // error and id, which may be null or absent here
	Batch             // an array; its content is not read: MCP has no batches since 2025-06-18
)

// String names the kind.
func (k Kind) String() string {
	names := [...]string{"invalid", "request", "notification", "response", "error", "batch"}
	if int(k) < len(names) {
		return names[k]
	}
	return "invalid"
}

// Message is the view of one line. Every slice is a part of the line and valid only as
// long as the line; a nil slice means that the member is absent. ID is a number or a
// string as written, quotes included, or null in an Error.
type Message struct {
	Kind   Kind
	ID     []byte
	Method string // unescaped
	Params []byte
	Result []byte
	Error  []byte // the error object with its code and message
}

// Reason is the reason why a line was refused.
type Reason string

// The reasons. Each but LongID and the last six names a way in which existing readers
// differ, or in which a reader can be exhausted.
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
	ResultAndError  Reason = "both result and error"                    // the member that a reader checks first
	MethodAndAnswer Reason = "both a method and a result or an error"   // a request or an answer
	BadID           Reason = "an id that is neither a string nor a whole number"
	LongID          Reason = "an id of more than 1 KiB" // both sides store ids until the answer
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
	Offset int // in bytes from the start of the line
}

// Error is one sentence that quotes nothing of the line.
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

// Codes for ErrorReply. MCP reserves -32020 to -32099.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeNoMethod       = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
)
