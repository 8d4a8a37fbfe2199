package schema

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// counter bounds the work that a schema can ask for: "allOf" of two references
// to an "allOf" of two references is four checks of one value, and thirty such
// steps are a billion.
type counter struct {
	root  any
	costs map[any]int // by the address of the schema's map
}

// check walks a schema and everything in it.
func (c *counter) check(node any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	switch node := node.(type) {
	case []any:
		for _, sub := range node {
			if err := c.check(sub, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		if n, err := c.cost(node); err != nil {
			return err
		} else if n > maxCost {
			return errors.New("it combines too many schemas")
		}
		if err := typed(node["type"]); err != nil {
			return err
		}
		for word, sub := range node {
			switch word {
			case "const", "enum", "default", "examples":
				continue // values, not schemas
			}
			if err := c.check(sub, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// typed checks the names of types, which the library takes as they come. A
// property that is called "type" has a schema there and no name.
func typed(v any) error {
	switch v := v.(type) {
	case string:
		if !slices.Contains([]string{"array", "boolean", "integer", "null", "number", "object", "string"}, v) {
			return fmt.Errorf("%.40q is no type", v)
		}
	case []any:
		for _, e := range v {
			if err := typed(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// counting marks a schema whose cost is being counted.
const counting = -1

// cost is the number of schemas that one value must be checked against. A schema
// that leads back to itself for the same value has no end, and the library would
// look for it until the stack is full.
func (c *counter) cost(node any) (int, error) {
	m, ok := node.(map[string]any)
	if !ok {
		return 1, nil
	}
	key := reflect.ValueOf(m).Pointer()
	if n, ok := c.costs[key]; ok {
		if n == counting {
			return 0, errors.New("it refers to itself for the same value")
		}
		return n, nil
	}
	c.costs[key] = counting
	n := 1
	for _, sub := range c.sameValue(m) {
		k, err := c.cost(sub)
		if err != nil {
			return 0, err
		}
		n = min(n+k, maxCost+1)
	}
	if ref, ok := m["$ref"].(string); ok {
		target, err := c.follow(ref)
		if err != nil {
			return 0, err
		}
		k, err := c.cost(target)
		if err != nil {
			return 0, err
		}
		n = min(n+k, maxCost+1)
	}
	for _, word := range []string{"$dynamicRef", "$recursiveRef"} {
		if _, ok := m[word]; ok {
			return 0, fmt.Errorf("it uses %s, which is not followed here", word)
		}
	}
	c.costs[key] = n
	return n, nil
}

// sameValue are the subschemas that a value itself must meet.
func (c *counter) sameValue(m map[string]any) []any {
	var subs []any
	for _, word := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := m[word].([]any)
		subs = append(subs, list...)
	}
	for _, word := range []string{"not", "if", "then", "else"} {
		if sub, ok := m[word]; ok {
			subs = append(subs, sub)
		}
	}
	for _, word := range []string{"dependentSchemas", "dependencies"} {
		table, _ := m[word].(map[string]any)
		for _, sub := range table {
			subs = append(subs, sub)
		}
	}
	return subs
}

// follow finds what a reference within the document leads to.
func (c *counter) follow(ref string) (any, error) {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok || pointer != "" && !strings.HasPrefix(pointer, "/") {
		return nil, fmt.Errorf("it refers to %.100q, and only a place in itself (#/…) is followed", ref)
	}
	node := c.root
	if pointer == "" {
		return node, nil
	}
	for _, part := range strings.Split(pointer[1:], "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch n := node.(type) {
		case map[string]any:
			node, ok = n[part]
		case []any:
			i, err := strconv.Atoi(part)
			ok = err == nil && i >= 0 && i < len(n)
			if ok {
				node = n[i]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("it refers to %.100q, which is not there", ref)
		}
	}
	return node, nil
}
