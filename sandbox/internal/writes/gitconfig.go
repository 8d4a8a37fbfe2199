package writes

import (
	"path"
	"strings"
)

// setting is one line of a git configuration: "section.name" or
// "section.subsection.name", section and name in lower case.
type setting struct{ key, value string }

// parseGitConfig reads a git configuration as far as it can be read (git-config(1),
// Syntax). A line that git would refuse is left out; git reads nothing then.
func parseGitConfig(text string) []setting {
	var out []setting
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
			var s setting
			s, text = gitSetting(section, text)
			if s.key != "" {
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
func gitSetting(section, text string) (setting, string) {
	end := strings.IndexAny(text, "=\n#;")
	if end < 0 {
		end = len(text)
	}
	name := strings.ToLower(strings.TrimSpace(text[:end]))
	if end == len(text) || text[end] != '=' {
		_, rest, _ := strings.Cut(text[end:], "\n")
		return setting{section + "." + name, "true"}, rest
	}
	value, rest := gitValue(text[end+1:])
	return setting{section + "." + name, value}, rest
}

func gitValue(text string) (value, rest string) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case ch == '\\' && i+1 < len(text):
			i++
			switch text[i] {
			case '\n': // goes on in the next line
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

// names says how a setting names files.
type names int

const (
	namesNothing names = iota
	namesPath          // a file or folder, from the working tree
	namesConfig        // more configuration, from the file itself
	namesCommand       // a command, run in the working tree
)

// gitKeys are the settings by which git is led to files that it runs or that
// configure it (git-config(1), gitattributes(5)). "*" stands for a subsection.
var gitKeys = []struct {
	key   string
	names names
}{
	{"core.hookspath", namesPath}, {"core.worktree", namesPath}, {"core.attributesfile", namesPath},
	{"include.path", namesConfig}, {"includeif.*.path", namesConfig},
	{"core.fsmonitor", namesCommand}, {"core.sshcommand", namesCommand}, {"core.askpass", namesCommand}, {"core.editor", namesCommand},
	{"core.pager", namesCommand}, {"core.gitproxy", namesCommand}, {"core.alternaterefscommand", namesCommand}, {"sequence.editor", namesCommand},
	{"pager.*", namesCommand}, {"alias.*", namesCommand}, {"interactive.difffilter", namesCommand},
	{"filter.*.clean", namesCommand}, {"filter.*.smudge", namesCommand}, {"filter.*.process", namesCommand},
	{"diff.external", namesCommand}, {"diff.*.command", namesCommand}, {"diff.*.textconv", namesCommand}, {"merge.*.driver", namesCommand},
	{"difftool.*.cmd", namesCommand}, {"difftool.*.path", namesCommand}, {"mergetool.*.cmd", namesCommand}, {"mergetool.*.path", namesCommand},
	{"credential.helper", namesCommand}, {"credential.*.helper", namesCommand}, {"gpg.program", namesCommand}, {"gpg.*.program", namesCommand},
	{"remote.*.uploadpack", namesCommand}, {"remote.*.receivepack", namesCommand}, {"remote.*.url", namesCommand},
	{"submodule.*.update", namesCommand}, {"trailer.*.command", namesCommand}, {"trailer.*.cmd", namesCommand}, {"tar.*.command", namesCommand},
	{"uploadpack.packobjectshook", namesCommand}, {"browser.*.cmd", namesCommand}, {"man.*.cmd", namesCommand}, {"sendemail.*", namesCommand},
	{"hook.*.command", namesCommand}, {"init.templatedir", namesPath}, {"gc.recentobjectshook", namesCommand},
}

// leads is how a setting names files, and which: relative paths as they are.
func (s setting) leads() (names, []string) {
	for _, k := range gitKeys {
		if !sameKey(k.key, s.key) {
			continue
		}
		if k.names != namesCommand {
			return k.names, []string{s.value}
		}
		if strings.HasPrefix(s.key, "remote.") && strings.HasSuffix(s.key, ".url") && !strings.HasPrefix(s.value, "ext::") {
			return namesNothing, nil
		}
		words := strings.FieldsFunc(s.value, func(r rune) bool { return strings.ContainsRune(" \t\n;&|()<>$`'\"=!", r) })
		return namesCommand, words
	}
	return namesNothing, nil
}

// sameKey compares a key with a pattern, in which "*" stands for a subsection or
// a name.
func sameKey(pattern, key string) bool {
	before, after, ok := strings.Cut(pattern, "*")
	if !ok {
		return pattern == key
	}
	return len(key) > len(before)+len(after) && strings.HasPrefix(key, before) && strings.HasSuffix(key, after)
}

// fromHome is a path of a setting, absolute: "~/" is the home, "%(prefix)/" is
// nothing of the user's, and all else is relative to a folder.
func fromHome(p, home, dir string) string {
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
