package trial

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// maxNest bounds the nesting of invented arguments.
const maxNest = 6

// arguments invents arguments that satisfy a schema: its default, example, first choice
// or least value, a file of the desk for a path, and one of the trial's own addresses
// for an address. It leaves out optional arguments, except for paths and addresses,
// which reveal the most.
func (d *Desk) arguments(schema json.RawMessage) map[string]any {
	var s map[string]any
	if json.Unmarshal(schema, &s) != nil {
		return map[string]any{}
	}
	m := maker{d: d, root: s}
	if args, ok := m.value("", s, 0).(map[string]any); ok {
		return args
	}
	return map[string]any{}
}

type maker struct {
	d    *Desk
	root map[string]any
}

func (m maker) value(name string, s map[string]any, depth int) any {
	if ref, ok := s["$ref"].(string); ok {
		s = m.follow(ref)
	}
	for _, key := range []string{"const", "default"} {
		if v, ok := s[key]; ok && v != nil {
			return v
		}
	}
	for _, key := range []string{"examples", "enum"} {
		if list, ok := s[key].([]any); ok && len(list) > 0 {
			return list[0]
		}
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		if list, ok := s[key].([]any); ok && len(list) > 0 && depth < maxNest {
			for _, one := range list {
				if o, ok := one.(map[string]any); ok && o["type"] != "null" {
					return m.value(name, o, depth+1)
				}
			}
		}
	}
	switch typeOf(s) {
	case "object":
		return m.object(s, depth)
	case "array":
		items, _ := s["items"].(map[string]any)
		if least, _ := s["minItems"].(float64); least == 0 && depth > 1 || depth >= maxNest {
			return []any{}
		}
		return []any{m.value(strings.TrimSuffix(name, "s"), items, depth+1)}
	case "integer", "number":
		if v, ok := s["minimum"].(float64); ok {
			return v
		}
		if v, ok := s["exclusiveMinimum"].(float64); ok {
			return v + 1
		}
		return 1
	case "boolean":
		return false
	case "null":
		return nil
	}
	return m.text(name, s)
}

func typeOf(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if w, ok := one.(string); ok && w != "null" {
				return w
			}
		}
	}
	if s["properties"] != nil {
		return "object"
	}
	return "string"
}

func (m maker) follow(ref string) map[string]any {
	at := m.root
	for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		next, ok := at[step].(map[string]any)
		if !ok {
			return map[string]any{}
		}
		at = next
	}
	return at
}

func (m maker) object(s map[string]any, depth int) map[string]any {
	out := map[string]any{}
	if depth >= maxNest {
		return out
	}
	props, _ := s["properties"].(map[string]any)
	var required []string
	if list, ok := s["required"].([]any); ok {
		for _, r := range list {
			if name, ok := r.(string); ok {
				required = append(required, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		p, ok := props[name].(map[string]any)
		if !ok || len(out) > 64 {
			continue
		}
		if slices.Contains(required, name) || isPath(name, p) || isURL(name, p) {
			out[name] = m.value(name, p, depth+1)
		}
	}
	return out
}

// Canned is the site for a tool that asks for an address.
const Canned = "https://www.example.com/"

func (m maker) text(name string, s map[string]any) string {
	lower := strings.ToLower(name)
	format, _ := s["format"].(string)
	switch {
	case isURL(name, s):
		return Canned
	case isPath(name, s):
		about, _ := s["description"].(string)
		if strings.Contains(lower, "dir") || strings.Contains(lower, "folder") || strings.Contains(lower, "root") || strings.Contains(lower, "repo") || strings.Contains(strings.ToLower(about), "director") {
			return m.d.Workspace
		}
		return m.d.Document
	case format == "date":
		return m.d.now.Format("2006-01-02")
	case format == "date-time":
		return m.d.now.UTC().Format("2006-01-02T15:04:05Z")
	case format == "email" || strings.Contains(lower, "email"):
		return m.d.User + "@example.com"
	case format == "uuid":
		return "3f2b8c1e-7a64-4d0c-9d53-2f1f5b7c9a10"
	case strings.Contains(lower, "timezone") || lower == "tz":
		return "Europe/Paris"
	case strings.Contains(lower, "query"), strings.Contains(lower, "search"), strings.Contains(lower, "question"), strings.Contains(lower, "prompt"):
		return "orders of last month"
	case strings.Contains(lower, "pattern") || strings.Contains(lower, "regex"):
		return "order"
	case lower == "time":
		return "12:30"
	case strings.Contains(lower, "library"):
		return "react"
	}
	text := "example"
	if least, ok := s["minLength"].(float64); ok && int(least) > len(text) && least < 4096 {
		text = strings.Repeat("example ", int(least)/8+1)
	}
	return text
}

func isURL(name string, s map[string]any) bool {
	lower := strings.ToLower(name)
	format, _ := s["format"].(string)
	return typeOf(s) == "string" && (format == "uri" || format == "url" || lower == "url" || lower == "uri" || strings.HasSuffix(lower, "_url") || strings.HasSuffix(name, "Url") || lower == "link" || lower == "website")
}

func isPath(name string, s map[string]any) bool {
	lower := strings.ToLower(name)
	format, _ := s["format"].(string)
	if t := typeOf(s); t != "string" {
		items, _ := s["items"].(map[string]any)
		return t == "array" && items != nil && typeOf(items) == "string" && (lower == "paths" || lower == "files")
	}
	return format == "path" || lower == "path" || lower == "file" || lower == "filename" || lower == "filepath" || lower == "directory" || lower == "dir" || lower == "folder" ||
		strings.HasSuffix(lower, "_path") || strings.HasSuffix(name, "Path") || strings.HasSuffix(lower, "_file") || strings.HasSuffix(lower, "_dir")
}
