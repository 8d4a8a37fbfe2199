package schema

import (
	"fmt"
	"net/url"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// node is one schema with the schemas that its check leads to.
type node struct {
	at string // a JSON Pointer; "" for the whole

	same   []*node            // for the value itself
	member map[string][]*node // for a member of an object, by its key
	rest   []*node            // for the members that member does not name
	each   []*node            // for any member or element

	weight      int   // its own cost: 1, and more if it compares with many values
	cost, total int   // 0: not counted yet
	state       state // of the count
}

// Keywords of JSON Schema, grouped by the kind of their value.
var (
	sameWords  = []string{"not", "if", "then", "else"}
	sameLists  = []string{"allOf", "anyOf", "oneOf"}
	sameTables = []string{"dependentSchemas", "dependencies"}
	restWords  = []string{"additionalProperties"}
	eachWords  = []string{"propertyNames", "unevaluatedProperties", "items", "additionalItems", "contains", "unevaluatedItems", "contentSchema"}
	eachLists  = []string{"prefixItems", "items"}
	eachTables = []string{"patternProperties"}

	// values are no schemas, or schemas that are not checked
	otherWords = []string{"$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$comment", "$vocabulary",
		"$defs", "definitions", "title", "description", "default", "deprecated", "readOnly", "writeOnly", "examples", "type", "enum", "const",
		"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "minItems", "maxItems",
		"uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties", "required", "dependentRequired",
		"contentEncoding", "contentMediaType", "format", "properties"}
)

// known reports whether a word is a keyword of JSON Schema, and whether the library
// takes it for one. Like encoding/json, the library ignores case: it would follow
// "$REF", which this package does not count.
func known(word string) (exact, taken bool) {
	for _, words := range [...][]string{otherWords, sameWords, sameLists, sameTables, restWords, eachWords, eachLists, eachTables} {
		for _, w := range words {
			if w == word {
				return true, true
			}
			taken = taken || strings.EqualFold(w, word)
		}
	}
	return false, taken
}

// reader makes nodes from a document.
type reader struct {
	root  any
	nodes map[string]*node // by place
	raw   map[string]any   // the objects of the nodes
}

// read makes a node of the value at a place, and of every schema in it.
func (r *reader) read(v any, at string, depth int) (*node, error) {
	if n := r.nodes[at]; n != nil {
		return n, nil
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", maxDepth)
	}
	if len(at) > maxPlace {
		return nil, fmt.Errorf("the names on the way to a part of it are longer than %d bytes", maxPlace)
	}
	if len(r.nodes) >= maxSchemas {
		return nil, fmt.Errorf("it has more than %d schemas", maxSchemas)
	}
	n := &node{at: at, weight: 1}
	r.nodes[at] = n
	m, ok := v.(map[string]any)
	if !ok {
		if _, ok := v.(bool); !ok {
			return nil, fmt.Errorf("%s is no schema, which is an object or a boolean", place(at))
		}
		return n, nil
	}
	r.raw[at] = m
	enum, _ := m["enum"].([]any)
	n.weight += len(enum)
	if err := r.words(n, m); err != nil {
		return nil, err
	}
	return n, r.subschemas(n, m, depth)
}

// words checks the keywords that the library does not check, or whose place it does not
// report.
func (r *reader) words(n *node, m map[string]any) error {
	at := n.at
	for word, v := range m {
		exact, taken := known(word)
		switch {
		case taken && !exact:
			return fmt.Errorf("%.40q in %s is taken for another word", word, place(at))
		case word == "$dynamicRef", word == "$recursiveRef":
			return fmt.Errorf("%s uses %s, which is not followed here", place(at), word)
		case word == "$id" && at != "":
			return fmt.Errorf("%s has an $id, by which a reference would mean another place", place(at))
		case word == "$schema" && at == "":
			text, _ := v.(string)
			if _, ok := draft(text); !ok {
				return fmt.Errorf("its $schema is %.100q, and only those of 2020-12 and draft-07 are known here", text)
			}
		case word == "type":
			if err := typed(v, at); err != nil {
				return err
			}
		}
	}
	return patterns(n, m)
}

// drafts maps the accepted values of $schema to the form that the library knows.
var drafts = map[string]string{
	"": "", "json-schema.org/draft-07/schema": "http://json-schema.org/draft-07/schema#",
	"json-schema.org/draft-06/schema":      "http://json-schema.org/draft-07/schema#", // draft-07 only adds keywords
	"json-schema.org/draft/2020-12/schema": "https://json-schema.org/draft/2020-12/schema",
}

// draft returns the form of $schema that the library knows.
func draft(s string) (string, bool) {
	s = strings.TrimSuffix(s, "#")
	known, ok := drafts[strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")]
	return known, ok
}

func typed(v any, at string) error {
	names := []any{v}
	if list, ok := v.([]any); ok {
		names = list
	}
	for _, name := range names {
		s, _ := name.(string)
		if !slices.Contains([]string{"array", "boolean", "integer", "null", "number", "object", "string"}, s) {
			if at != "" {
				return fmt.Errorf("%.40q in %s is no type", fmt.Sprint(name), place(at))
			}
			return fmt.Errorf("%.40q is no type", fmt.Sprint(name))
		}
	}
	return nil
}

// patterns checks the patterns. A pattern with a thousand states costs a thousand
// comparisons a character, so it adds to the weight.
func patterns(n *node, m map[string]any) error {
	list := []string{}
	if p, ok := m["pattern"].(string); ok {
		list = append(list, p)
	}
	table, _ := m["patternProperties"].(map[string]any)
	for p := range table {
		list = append(list, p)
	}
	for _, p := range list {
		tree, err := syntax.Parse(p, syntax.Perl)
		if err != nil {
			return fmt.Errorf("a pattern of %s cannot be used: %v", place(n.at), err)
		}
		if program, err := syntax.Compile(tree.Simplify()); err == nil {
			n.weight += len(program.Inst) / 8
		}
	}
	return nil
}

// subschemas reads the schemas inside a schema.
func (r *reader) subschemas(n *node, m map[string]any, depth int) error {
	var err error
	one := func(into *[]*node, v any, at string) {
		if err != nil {
			return
		}
		var sub *node
		if sub, err = r.read(v, at, depth+1); err == nil && into != nil {
			*into = append(*into, sub)
		}
	}
	words := func(into *[]*node, names []string) {
		for _, name := range names {
			if v, ok := m[name]; ok {
				if _, list := v.([]any); !list || name != "items" {
					one(into, v, n.at+"/"+name)
				}
			}
		}
	}
	lists := func(into *[]*node, names []string) {
		for _, name := range names {
			list, _ := m[name].([]any)
			for i, v := range list {
				one(into, v, n.at+"/"+name+"/"+strconv.Itoa(i))
			}
		}
	}
	tables := func(into *[]*node, names ...string) {
		for _, name := range names {
			table, _ := m[name].(map[string]any)
			for key, v := range table {
				if _, list := v.([]any); !list || name != "dependencies" {
					one(into, v, n.at+"/"+name+"/"+escape(key))
				}
			}
		}
	}
	words(&n.same, sameWords)
	lists(&n.same, sameLists)
	tables(&n.same, sameTables...)
	words(&n.rest, restWords)
	words(&n.each, eachWords)
	lists(&n.each, eachLists)
	tables(&n.each, eachTables...)
	tables(nil, "$defs", "definitions")
	if properties, _ := m["properties"].(map[string]any); len(properties) > 0 {
		n.member = make(map[string][]*node, len(properties))
		for key, v := range properties {
			var subs []*node
			one(&subs, v, n.at+"/properties/"+escape(key))
			n.member[key] = subs
		}
	}
	if ref, ok := m["$ref"]; ok && err == nil {
		err = r.refer(n, ref)
	}
	return err
}

// refer follows a reference within the document.
func (r *reader) refer(n *node, ref any) error {
	text, _ := ref.(string)
	u, err := url.Parse(text)
	if err != nil || u.Fragment == "" && text != "#" || u.Fragment != "" && (!strings.HasPrefix(text, "#/") || !strings.HasPrefix(u.Fragment, "/")) {
		return fmt.Errorf("%s refers to %.100q, and only a place in itself (#/…) is followed", place(n.at), text)
	}
	v, at := r.root, ""
	var parts []string
	if u.Fragment != "" {
		parts = strings.Split(u.Fragment[1:], "/")
	}
	for _, part := range parts {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		ok := false
		switch x := v.(type) {
		case map[string]any:
			v, ok = x[part]
		case []any:
			var i int
			if i, err = strconv.Atoi(part); err == nil && i >= 0 && i < len(x) && strconv.Itoa(i) == part {
				v, ok = x[i], true
			}
		}
		if !ok {
			return fmt.Errorf("%s refers to %.100q, which is not there", place(n.at), text)
		}
		at += "/" + escape(part)
	}
	sub, err := r.read(v, at, strings.Count(at, "/"))
	if err != nil {
		return err
	}
	n.same = append(n.same, sub)
	return nil
}

func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

// place formats a place for a sentence.
func place(at string) string {
	if at == "" {
		return "it"
	}
	return fmt.Sprintf("%.200s", at)
}
