// Package gitconfig reads the settings of git's configuration that lead git to files
// that it runs or that configure it. It is pure: it opens no file and reads only the
// given text.
package gitconfig

import (
	"path"
	"strings"
)

// Setting is one line of a git configuration: "section.name" or
// "section.subsection.name", section and name in lower case.
type Setting struct{ Key, Value string }

// Parse reads a git configuration as far as possible (git-config(1), Syntax). It skips
// a line that git would refuse; git then reads nothing.
func Parse(text string) []Setting {
	var out []Setting
	section := ""
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for len(text) > 0 {
		text = strings.TrimLeft(text, " \t\n\ufeff")
		switch {
		case text == "":
		case text[0] == '#' || text[0] == ';':
			_, text, _ = strings.Cut(text, "\n")
		case text[0] == '[':
			section, text = gitSection(text)
		default:
			var s Setting
			s, text = gitSetting(section, text)
			if s.Key != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// gitSection reads a header: [section], [section "Sub\"section"], [section.sub].
func gitSection(text string) (section, rest string) {
	text = text[1:]
	end := strings.IndexAny(text, "]\"\n")
	if end < 0 {
		return "", ""
	}
	section = strings.ToLower(strings.TrimSpace(text[:end]))
	if text[end] != '"' {
		return section, text[end+1:]
	}
	var sub strings.Builder
	for i := end + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if i++; i < len(text) {
				sub.WriteByte(text[i])
			}
		case '"':
			_, rest, _ = strings.Cut(text[i+1:], "]")
			return section + "." + sub.String(), rest
		case '\n':
			return "", text[i:]
		default:
			sub.WriteByte(text[i])
		}
	}
	return "", ""
}

// gitSetting reads "name = value" with its continuations, quotes and comments.
func gitSetting(section, text string) (Setting, string) {
	end := strings.IndexAny(text, "=\n#;")
	if end < 0 {
		end = len(text)
	}
	name := strings.ToLower(strings.TrimSpace(text[:end]))
	if end == len(text) || text[end] != '=' {
		_, rest, _ := strings.Cut(text[end:], "\n")
		return Setting{section + "." + name, "true"}, rest
	}
	value, rest := gitValue(text[end+1:])
	return Setting{section + "." + name, value}, rest
}

func gitValue(text string) (value, rest string) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case ch == '\\' && i+1 < len(text):
			i++
			switch text[i] {
			case '\n': // continues on the next line
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(text[i])
			}
		case ch == '"':
			quoted = !quoted
		case ch == '\n':
			return strings.TrimSpace(b.String()), text[i+1:]
		case !quoted && (ch == '#' || ch == ';'):
			_, rest, _ = strings.Cut(text[i:], "\n")
			return strings.TrimSpace(b.String()), rest
		default:
			b.WriteByte(ch)
		}
	}
	return strings.TrimSpace(b.String()), ""
}

// Names says in which form a setting names files.
type Names int

// The forms.
const (
	Nothing Names = iota
	Path          // a file or folder, relative to the working tree
	Config        // more configuration, relative to the file itself
	Command       // a command, run in the working tree
)

// gitKeys are the settings that lead git to files that it runs or that configure it
// (git-config(1), gitattributes(5)). "*" stands for a subsection.
var gitKeys = []struct {
	key   string
	names Names
}{
	{"core.hookspath", Path}, {"core.worktree", Path}, {"core.attributesfile", Path},
	{"include.path", Config}, {"includeif.*.path", Config},
	{"core.fsmonitor", Command}, {"core.sshcommand", Command}, {"core.askpass", Command}, {"core.editor", Command},
	{"core.pager", Command}, {"core.gitproxy", Command}, {"core.alternaterefscommand", Command}, {"sequence.editor", Command},
	{"pager.*", Command}, {"alias.*", Command}, {"interactive.difffilter", Command},
	{"filter.*.clean", Command}, {"filter.*.smudge", Command}, {"filter.*.process", Command},
	{"diff.external", Command}, {"diff.*.command", Command}, {"diff.*.textconv", Command}, {"merge.*.driver", Command},
	{"difftool.*.cmd", Command}, {"difftool.*.path", Command}, {"mergetool.*.cmd", Command}, {"mergetool.*.path", Command},
	{"credential.helper", Command}, {"credential.*.helper", Command}, {"gpg.program", Command}, {"gpg.*.program", Command},
	{"remote.*.uploadpack", Command}, {"remote.*.receivepack", Command}, {"remote.*.url", Command},
	{"submodule.*.update", Command}, {"trailer.*.command", Command}, {"trailer.*.cmd", Command}, {"tar.*.command", Command},
	{"uploadpack.packobjectshook", Command}, {"browser.*.cmd", Command}, {"man.*.cmd", Command}, {"sendemail.*", Command},
	{"hook.*.command", Command}, {"init.templatedir", Path}, {"gc.recentobjectshook", Command},
}

// Leads returns the form in which a setting names files, and the files: relative paths
// as written.
func (s Setting) Leads() (Names, []string) {
	for _, k := range gitKeys {
		if !sameKey(k.key, s.Key) {
			continue
		}
		if k.names != Command {
			return k.names, []string{s.Value}
		}
		if strings.HasPrefix(s.Key, "remote.") && strings.HasSuffix(s.Key, ".url") && !strings.HasPrefix(s.Value, "ext::") {
			return Nothing, nil
		}
		words := strings.FieldsFunc(s.Value, func(r rune) bool { return strings.ContainsRune(" \t\n;&|()<>$`'\"=!", r) })
		return Command, words
	}
	return Nothing, nil
}

// sameKey compares a key with a pattern in which "*" stands for a subsection or a name.
func sameKey(pattern, key string) bool {
	before, after, ok := strings.Cut(pattern, "*")
	if !ok {
		return pattern == key
	}
	return len(key) > len(before)+len(after) && strings.HasPrefix(key, before) && strings.HasSuffix(key, after)
}

// FromHome makes a setting's path absolute: "~/" is the home; "%(prefix)/" names
// nothing of the user's, and the result is ""; any other path is relative to dir.
func FromHome(p, home, dir string) string {
	p = strings.TrimPrefix(p, ":(optional)")
	switch {
	case p == "", strings.HasPrefix(p, "%(prefix)/"):
		return ""
	case strings.HasPrefix(p, "~/"):
		return path.Join(home, p[2:])
	case path.IsAbs(p):
		return path.Clean(p)
	}
	return path.Join(dir, p)
}
