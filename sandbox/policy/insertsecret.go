package policy

import (
	"fmt"
	"reflect"
	"strings"

	"mcpen/sandbox/audit"
	"mcpen/sandbox/internal/tomlindex"
)

// InsertSecret writes into the text of a profile that a variable comes from the one of
// the same name where mcpen is started, as a secret. Like [Insert] it leaves every other
// byte as it is and checks its result. The error is ErrGranted if the server has the
// variable already.
func InsertSecret(src []byte, variable string) ([]byte, error) {
	want, err := withSecret(src, variable)
	if err != nil {
		return nil, err
	}
	pair := audit.TOMLString(variable) + " = " + audit.TOMLString("env:"+variable)
	if strings.Trim(variable, "_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == "" {
		pair = variable + " = " + audit.TOMLString("env:"+variable)
	}
	for _, edit := range []func(src, pair string) string{intoSecrets, besideSecret, secretsAtEnd} {
		text := edit(string(src), pair)
		if got, err := decoded([]byte(text)); err == nil && reflect.DeepEqual(got, want) {
			return []byte(text), nil
		}
	}
	return nil, fmt.Errorf("cannot write env.secret.%s into this profile", pair)
}

// withSecret is the content of a profile with the secret added.
func withSecret(src []byte, variable string) (map[string]any, error) {
	all, err := decoded(src)
	if err != nil {
		return nil, fmt.Errorf("cannot read the profile: %w", err)
	}
	table := all
	for _, name := range []string{"env", "secret"} {
		next, ok := table[name].(map[string]any)
		if !ok && table[name] != nil {
			return nil, fmt.Errorf("cannot write into %q: it is no table", name)
		}
		if name == "secret" {
			passed, _ := table["pass"].([]any)
			set, _ := table["set"].(map[string]any)
			for _, p := range passed {
				if p == variable {
					return nil, ErrGranted
				}
			}
			if _, ok := set[variable]; ok {
				return nil, ErrGranted
			}
		}
		if !ok {
			next = map[string]any{}
			table[name] = next
		}
		table = next
	}
	if _, ok := table[variable]; ok {
		return nil, ErrGranted
	}
	table[variable] = "env:" + variable
	return all, nil
}

// secrets is the table env.secret of a text, or nil.
func secrets(src string) *tomlindex.Node {
	root, stopped, _ := tomlindex.Index(src)
	if stopped >= 0 || root.Keys["env"] == nil {
		return nil
	}
	return root.Keys["env"].Keys["secret"]
}

// intoSecrets inserts the pair at the beginning of the table: after its header, or in
// its braces. Like the other edits it returns "" if it does not apply.
func intoSecrets(src, pair string) string {
	table := secrets(src)
	if table == nil || table.Val >= len(src) {
		return ""
	}
	if src[table.Val] == '{' {
		behind := table.Val + 1
		if len(table.Keys) == 0 {
			return src[:behind] + " " + pair + " " + strings.TrimLeft(src[behind:], " \t")
		}
		return src[:behind] + " " + pair + ", " + strings.TrimLeft(src[behind:], " \t")
	}
	header := lineAt(src, table.Val)
	if !strings.HasPrefix(strings.TrimLeft(header, " \t"), "[") {
		return ""
	}
	end := strings.LastIndexByte(src[:table.Val], '\n') + 1 + len(header)
	before := src[:end]
	if !strings.HasSuffix(before, "\n") {
		before += ending(src)
	}
	return before + indent(src[end:]) + pair + ending(src) + src[end:]
}

// besideSecret inserts a line with a dotted key before another one of the table.
func besideSecret(src, pair string) string {
	table := secrets(src)
	if table == nil {
		return ""
	}
	first, prefix := len(src), ""
	for _, key := range table.Keys {
		line := strings.TrimLeft(lineAt(src, key.Key), " \t")
		at := strings.LastIndexByte(src[:key.Key], '\n') + 1
		for _, p := range []string{"env.secret.", "secret."} {
			if strings.HasPrefix(line, p) && at < first {
				first, prefix = at, p
			}
		}
	}
	if prefix == "" {
		return ""
	}
	return src[:first] + indent(src[first:]) + prefix + pair + ending(src) + src[first:]
}

// secretsAtEnd appends the table to the text. Nothing can be added to a table in braces.
func secretsAtEnd(src, pair string) string {
	root, _, _ := tomlindex.Index(src)
	if env := root.Keys["env"]; env != nil && env.Val < len(src) && src[env.Val] == '{' {
		return ""
	}
	if src != "" && !strings.HasSuffix(src, "\n") {
		src += ending(src)
	}
	return src + ending(src) + "[env.secret]" + ending(src) + pair + ending(src)
}
