package guard

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/schema"
)

// tested is a JSON Schema that arguments must meet, or the reason why there is none. A
// server's schema is compiled when it is first needed.
type tested struct {
	compile func() (*schema.Schema, error)
	size    int // of its text, where that counts
}

// newTested keeps raw, and compiles it at the first use.
func newTested(raw []byte) *tested {
	return &tested{compile: sync.OnceValues(func() (*schema.Schema, error) { return schema.Compile(raw) })}
}

// err is why the schema cannot be used.
func (s *tested) err() error {
	_, err := s.compile()
	return err
}

// check reports the fault of arguments, in one line that may quote them,
// and where, which quotes the schema alone; why is "" where nothing is.
func (s *tested) check(arguments []byte) (why, where string) {
	compiled, err := s.compile()
	if err != nil {
		return "they cannot be checked", ""
	}
	if len(arguments) == 0 || string(arguments) == "null" {
		arguments = []byte("{}")
	}
	err = compiled.Validate(arguments)
	if err == nil {
		return "", ""
	}
	var invalid *schema.Invalid
	if errors.As(err, &invalid) {
		return oneLine(fmt.Sprintf("at '%s': %s", invalid.Where, invalid.Why)), oneLine(invalid.Where)
	}
	return oneLine(err.Error()), ""
}

// oneLine is a text that may come from a stranger, short and without controls.
func oneLine(text string) string {
	const most = 300
	if len(text) > most {
		text = text[:most] + "…"
	}
	return audit.Visible(strings.ReplaceAll(text, "\n", " "))
}
