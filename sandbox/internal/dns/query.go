// Package dns reads the questions that programs ask and writes the answers, and asks
// questions of the host's own name servers. Which names may be asked for is no concern
// of it.
package dns

import (
	"errors"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// RCode is the result code of an answer.
type RCode = dnsmessage.RCode

// badVersion is the extended code of RFC 6891, section 6.1.3.
const badVersion = 16

// Sizes of messages in bytes.
const (
	minUDP = 512   // RFC 1035, section 4.2.1: every client accepts it
	maxUDP = 1232  // the size that this resolver announces, and its largest answer
	MaxTCP = 65535 // RFC 1035, section 4.2.2
)

// ttl is the lifetime of answers for programs, in seconds. The host's resolver does not
// report one. A short time costs little, since answers are cached here as well.
const ttl = 30

// errSilent is for messages that get no answer: a response, or an unreadable header.
// Answering could make two resolvers talk to each other forever.
var errSilent = errors.New("not a question")

// Query is one question as asked.
type Query struct {
	Question dnsmessage.Question
	Size     int   // of the longest datagram that the client accepts
	Bad      RCode // the answer to a malformed question; 0 if it is well-formed

	id        uint16
	opcode    dnsmessage.OpCode
	recursion bool
	edns      bool // the client uses EDNS, so the answer does
}

// ParseQuery parses a message. For a malformed message that can be answered it returns
// no error; q.Bad is then the code of the answer.
func ParseQuery(b []byte) (q Query, err error) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil || h.Response {
		return Query{}, errSilent
	}
	q = Query{id: h.ID, opcode: h.OpCode, recursion: h.RecursionDesired, Size: minUDP}
	if h.OpCode != 0 {
		q.Bad = dnsmessage.RCodeNotImplemented
		return q, nil
	}
	if q.Question, err = p.Question(); err != nil {
		q.Bad = dnsmessage.RCodeFormatError
		return q, nil
	}
	if _, err = p.Question(); !errors.Is(err, dnsmessage.ErrSectionDone) { // RFC 9619: one question a message
		q.Bad = dnsmessage.RCodeFormatError
		return q, nil
	}
	if !q.options(&p) {
		q.Bad = dnsmessage.RCodeFormatError
	}
	return q, nil
}

// options reads the rest of the message for its OPT record (RFC 6891).
func (q *Query) options(p *dnsmessage.Parser) bool {
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return false
	}
	for {
		h, err := p.AdditionalHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return true
		}
		if err != nil {
			return false
		}
		if h.Type == dnsmessage.TypeOPT {
			if q.edns || h.Name.String() != "." {
				return false // more than one, or with an owner name
			}
			q.edns = true
			q.Size = min(max(int(h.Class), minUDP), maxUDP)
			if version := h.TTL >> 16 & 0xff; version != 0 {
				q.Bad = badVersion
			}
		}
		if p.SkipAdditional() != nil {
			return false
		}
	}
}

// Reply builds the answer to q, no longer than limit. If the records do not fit, it
// leaves them out and sets the truncation bit, so that the client retries over TCP. It
// leaves out records of a type other than the question's.
func (q Query) Reply(code RCode, records []dnsmessage.ResourceBody, limit int) ([]byte, error) {
	b, err := q.build(code, records, false)
	if err == nil && len(b) > limit {
		b, err = q.build(code, nil, true)
	}
	return b, err
}

func (q Query) build(code RCode, records []dnsmessage.ResourceBody, truncated bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(make([]byte, 0, minUDP), dnsmessage.Header{
		ID: q.id, Response: true, OpCode: q.opcode, RecursionDesired: q.recursion, RecursionAvailable: true,
		Truncated: truncated, RCode: code & 15,
	})
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if q.Question.Name.Length > 0 {
		if err := b.Question(q.Question); err != nil {
			return nil, err
		}
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	h := dnsmessage.ResourceHeader{Name: q.Question.Name, Class: dnsmessage.ClassINET, TTL: ttl}
	for _, r := range records {
		if err := q.add(&b, h, r); err != nil {
			return nil, err
		}
	}
	if q.edns {
		if err := b.StartAdditionals(); err != nil {
			return nil, err
		}
		var o dnsmessage.ResourceHeader
		if err := o.SetEDNS0(maxUDP, code, false); err != nil {
			return nil, err
		}
		if err := b.OPTResource(o, dnsmessage.OPTResource{}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// add appends a record if its type was asked for.
func (q Query) add(b *dnsmessage.Builder, h dnsmessage.ResourceHeader, record dnsmessage.ResourceBody) error {
	kind := q.Question.Type
	switch r := record.(type) {
	case *dnsmessage.AResource:
		if kind == dnsmessage.TypeA {
			return b.AResource(h, *r)
		}
	case *dnsmessage.AAAAResource:
		if kind == dnsmessage.TypeAAAA {
			return b.AAAAResource(h, *r)
		}
	case *dnsmessage.SRVResource:
		if kind == dnsmessage.TypeSRV {
			return b.SRVResource(h, *r)
		}
	case *dnsmessage.TXTResource:
		if kind == dnsmessage.TypeTXT {
			return b.TXTResource(h, *r)
		}
	}
	return nil
}

// RecordOf is the record of an address.
func RecordOf(a netip.Addr) dnsmessage.ResourceBody {
	if a.Is4() {
		return &dnsmessage.AResource{A: a.As4()}
	}
	return &dnsmessage.AAAAResource{AAAA: a.As16()}
}
