// Package schema checks values against JSON Schemas that a profile or a server
// brings. It loads nothing: a schema says all there is to say. It refuses
// schemas that could keep a check busy for long, and numbers that it could not
// compare exactly.
//
// Schemas are of draft 2020-12, or of draft-07 where $schema says so.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Bounds of a schema and of what is checked against it.
const (
	maxSchema = 512 << 10 // bytes
	maxValue  = 4 << 20   // bytes
	maxCost   = 100_000   // schemas that one value may have to meet, references followed
	maxDepth  = 128       // of a schema's text
)

// Schema is a compiled schema. Its methods may be called from any goroutine.
type Schema struct{ resolved *jsonschema.Resolved }

// Compile reads a schema. The error says what is wrong with it in one line.
func Compile(text []byte) (*Schema, error) {
	if len(text) > maxSchema {
		return nil, fmt.Errorf("it is longer than %d bytes", maxSchema)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("it is not JSON: %v", err)
	}
	c := counter{root: tree, costs: map[any]int{}}
	if err := c.check(tree, 0); err != nil {
		return nil, err
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, oneLine(err)
	}
	r, err := s.Resolve(&jsonschema.ResolveOptions{Loader: nil})
	if err != nil {
		return nil, oneLine(err)
	}
	return &Schema{r}, nil
}

// Validate checks a value, which is JSON. The error says what is wrong with the
// value, in one line that may quote it.
func (s *Schema) Validate(text []byte) error {
	if len(text) > maxValue {
		return fmt.Errorf("it is longer than %d bytes", maxValue)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return errors.New("it is not JSON")
	}
	value, err := exact(value)
	if err != nil {
		return err
	}
	if err := s.resolved.Validate(value); err != nil {
		return oneLine(err)
	}
	return nil
}

// exact turns numbers into the ones that the library compares, and refuses those
// that would not be the same afterwards: a rule about 9007199254740993 would
// otherwise let 9007199254740992 through.
func exact(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil || math.Abs(f) >= 1<<53 {
			return nil, fmt.Errorf("the number %.40s is too large to be compared exactly", v.String())
		}
		return f, nil
	case []any:
		for i := range v {
			var err error
			if v[i], err = exact(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			var err error
			if v[k], err = exact(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// oneLine is an error in one short line.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return errors.New(text)
}
