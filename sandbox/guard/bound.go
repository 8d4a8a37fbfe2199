package guard

import (
	"crypto/sha256"
	"strings"

	"mcpen/sandbox/definition"
)

// Bounds, in bytes, of the stored words of a server. The longest lists of servers in
// use have a megabyte, their names a hundred bytes, their cursors fifty.
const (
	maxName       = 1 << 10   // of a tool or prompt
	maxURI        = 4 << 10   // of a resource or template
	maxCursor     = 2 << 10   // for the next page of a list
	maxDefinition = 512 << 10 // of one without a decision
	maxForms      = 4 << 20   // of all of those together
	maxListed     = 8 << 20   // of all listed definitions, as entries
	maxChained    = 4 << 20   // of lists that are being read page by page
	maxSchemas    = 2 << 20   // of schemas of tools, where calls are validated
	maxOwn        = 1 << 20   // the names of a server's tools, which its texts may mention
	maxWords      = 300       // of a finding's words

	perEntry = 320 // of a listed definition, beside its name
	perHash  = 160 // the same in a list that is being read
)

// longest is the longest name of a kind.
func longest(kind definition.Kind) int {
	if kind == definition.KindResource || kind == definition.KindTemplate {
		return maxURI
	}
	return maxName
}

// saying stands for a sentence, or for several words, of an earlier report.
type saying [sha256.Size]byte

func sayingOf(what ...string) saying {
	var space [512]byte
	text := space[:0]
	for _, w := range what {
		text = append(append(text, w...), 0)
	}
	return sha256.Sum256(text)
}

// cut is the beginning of a text in its own memory, so that a short part keeps no
// long line alive.
func cut(text string, most int) string { return strings.Clone(text[:min(len(text), most)]) }

// put keeps the entry of a definition, if there is room.
func (g *Guard) put(l *list, name string, e *entry) bool {
	if _, ok := l.entries[name]; !ok {
		if g.listedBytes+len(name)+perEntry > maxListed {
			return false
		}
		g.listedBytes += len(name) + perEntry
	}
	l.entries[name] = e
	return true
}

// drop forgets a definition.
func (g *Guard) drop(kind definition.Kind, l *list, name string) {
	if _, ok := l.entries[name]; !ok {
		return
	}
	g.listedBytes -= len(name) + perEntry
	delete(l.entries, name)
	if kind == definition.KindTool {
		g.schema(name, nil, 0)
	}
}

// schema keeps the schema of a tool, of size bytes, if there is room; nil forgets it.
func (g *Guard) schema(name string, s *tested, size int) {
	if old, ok := g.schemas[name]; ok {
		g.schemaBytes -= old.size
		delete(g.schemas, name)
	}
	if s != nil && g.schemaBytes+size <= maxSchemas {
		s.size = size
		g.schemas[name] = s
		g.schemaBytes += size
	}
}
