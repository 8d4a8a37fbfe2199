package rpc

import (
	"bytes"
	"hash/maphash"
	"sync"
)

const (
	maxDepth   = 128
	hardDepth  = 10_000  // up to here, a line that is too deep is still read for its id
	maxMembers = 1 << 20 // of all open objects together
	maxLine    = 1 << 30
	fewKeys    = 8       // up to here keys are compared pairwise
	keepKeys   = 1 << 14 // larger scratch memory is not kept
	maxID      = 1 << 10 // bytes of an id as written; ids in use have 36 at most
)

// The members of a message.
const (
	topVersion = iota
	topID
	topMethod
	topParams
	topResult
	topError
	topCount
	topOther = -1
)

var topNames = [topCount]string{"jsonrpc", "id", "method", "params", "result", "error"}

// span is a key: n bytes of the line from at, or, if at lies beyond the line, of the
// arena of unescaped keys.
type span struct{ at, n uint32 }

// frame is an open object or array.
type frame struct {
	object bool
	keys   int // len(scanner.keys) at its start
}

// scanner reads one line. After a soft refusal it reads on, to find an id that follows;
// a hard one ends the reading.
type scanner struct {
	line   []byte
	opened []frame
	keys   []span
	arena  []byte
	table  []uint32 // open addressing: an index into keys, plus one
	seed   maphash.Seed

	reason Reason
	offset int

	inKey   bool // a key is being read
	member  int  // the index of the message's member that is being read
	start   int  // the start of its value
	members [topCount][]byte
	twice   [topCount]bool
}

var scanners = sync.Pool{New: func() any { return &scanner{seed: maphash.MakeSeed()} }}

func newScanner(line []byte) *scanner {
	s := scanners.Get().(*scanner)
	s.line = line
	return s
}

func (s *scanner) release() {
	if cap(s.keys) > keepKeys || cap(s.arena) > 16*keepKeys || cap(s.table) > 4*keepKeys {
		return
	}
	*s = scanner{opened: s.opened[:0], keys: s.keys[:0], arena: s.arena[:0], table: s.table, seed: s.seed}
	scanners.Put(s)
}

func (s *scanner) soft(r Reason, at int) {
	if s.reason == "" {
		s.reason, s.offset = r, at
	}
}

// hard records r, unless a soft refusal came first, and returns -1.
func (s *scanner) hard(r Reason, at int) int {
	s.soft(r, min(at, len(s.line)))
	return -1
}

// value reads one value from i on and returns the offset after it, or -1. It is a loop
// with a stack of its own, so that a line cannot exhaust the goroutine's stack.
func (s *scanner) value(i int) int {
	for {
		i = s.space(i)
		if i >= len(s.line) {
			return s.hard(Syntax, i)
		}
		switch c := s.line[i]; {
		case c == '"':
			i, _ = s.text(i)
		case c == '{' || c == '[':
			var empty bool
			if i, empty = s.open(i); i >= 0 && !empty {
				continue
			}
		case c == '-' || c-'0' < 10:
			i = s.number(i)
		default:
			i = s.literal(i)
		}
		if i < 0 {
			return -1
		}
		if i = s.after(i); i < 0 || len(s.opened) == 0 {
			return i
		}
	}
}

// open reads the bracket at i and, in an object, the first key with its colon.
func (s *scanner) open(i int) (next int, empty bool) {
	object := s.line[i] == '{'
	switch n := len(s.opened); {
	case n >= hardDepth:
		return s.hard(TooDeep, i), false
	case n >= maxDepth:
		s.soft(TooDeep, i)
	}
	next = s.space(i + 1)
	if next < len(s.line) && s.line[next] == s.line[i]+2 { // "]" is "["+2 and "}" is "{"+2
		return next + 1, true
	}
	s.opened = append(s.opened, frame{object, len(s.keys)})
	if object {
		next = s.key(next)
	}
	return next, false
}

// after continues after a value that ends at i. It closes the arrays and objects that
// end there and returns the start of the next value, or the end of the outermost.
func (s *scanner) after(i int) int {
	for len(s.opened) > 0 {
		top := s.opened[len(s.opened)-1]
		if len(s.opened) == 1 && top.object {
			s.ended(i)
		}
		i = s.space(i)
		if i >= len(s.line) {
			return s.hard(Syntax, i)
		}
		switch c := s.line[i]; {
		case c == ',' && top.object:
			return s.key(s.space(i + 1))
		case c == ',':
			return i + 1
		case c == '}' && top.object:
			s.distinct(s.keys[top.keys:])
			s.keys = s.keys[:top.keys]
		case c == ']' && !top.object:
		default:
			return s.hard(Syntax, i)
		}
		s.opened = s.opened[:len(s.opened)-1]
		i++
	}
	return i
}

// key reads a key and its colon at i and returns the start of the value.
func (s *scanner) key(i int) int {
	if i >= len(s.line) || s.line[i] != '"' {
		return s.hard(Syntax, i)
	}
	s.inKey = true
	end, plain := s.text(i)
	s.inKey = false
	if end < 0 {
		return -1
	}
	k := span{uint32(i + 1), uint32(end - i - 2)}
	if !plain {
		from := len(s.arena)
		s.arena = appendText(s.arena, s.line[i+1:end-1])
		k = span{uint32(len(s.line) + from), uint32(len(s.arena) - from)}
	}
	if len(s.keys) >= maxMembers {
		return s.hard(TooManyMembers, i)
	}
	s.keys = append(s.keys, k)
	if len(s.opened) == 1 {
		s.top(k, i)
	}
	colon := s.space(end)
	if colon >= len(s.line) || s.line[colon] != ':' {
		return s.hard(Syntax, colon)
	}
	next := s.space(colon + 1)
	if len(s.opened) == 1 {
		s.start = next
	}
	return next
}

// top records which member of the message the key k at i begins.
func (s *scanner) top(k span, i int) {
	s.member = topOther
	name := s.bytes(k)
	for n, known := range topNames {
		if string(name) == known {
			s.member = n
			return
		}
		if looksLike(name, known) {
			s.soft(LookAlikeKey, i)
		}
	}
	if bytes.IndexByte(name, 0) >= 0 {
		s.soft(NULKey, i)
	}
}

// ended records that the value of a member of the message ended at i.
func (s *scanner) ended(i int) {
	if s.member == topOther {
		return
	}
	s.twice[s.member] = s.members[s.member] != nil
	s.members[s.member] = s.line[s.start:i]
	s.member = topOther
}

func (s *scanner) bytes(k span) []byte {
	if at := int(k.at); at < len(s.line) {
		return s.line[at : at+int(k.n)]
	}
	at := int(k.at) - len(s.line)
	return s.arena[at : at+int(k.n)]
}

// distinct refuses equal keys of one object. It compares few keys pairwise; more go
// through a hash table with a secret seed, so that nobody can choose keys that collide.
func (s *scanner) distinct(keys []span) {
	if len(keys) > fewKeys {
		s.distinctMany(keys)
		return
	}
	for i := 1; i < len(keys); i++ {
		for j := 0; j < i; j++ {
			if keys[i].n == keys[j].n && bytes.Equal(s.bytes(keys[i]), s.bytes(keys[j])) {
				s.soft(DuplicateKey, s.place(keys[i]))
				return
			}
		}
	}
}

func (s *scanner) distinctMany(keys []span) {
	size := 4 * fewKeys
	for size < 2*len(keys) {
		size *= 2
	}
	if cap(s.table) < size {
		s.table = make([]uint32, size)
	}
	table := s.table[:size]
	clear(table)
	for i, k := range keys {
		text := s.bytes(k)
		h := int(maphash.Bytes(s.seed, text)) & (size - 1)
		for ; table[h] != 0; h = (h + 1) & (size - 1) {
			if o := keys[table[h]-1]; o.n == k.n && bytes.Equal(s.bytes(o), text) {
				s.soft(DuplicateKey, s.place(k))
				return
			}
		}
		table[h] = uint32(i + 1)
	}
}

// place is the offset of a key in the line; for an escaped key, the end of the line.
func (s *scanner) place(k span) int { return min(int(k.at), len(s.line)) }
