// Package review shows a person what a server says of itself and waits for a decision, and
// keeps what they decide: by name, or by asking where somebody is there (Reviewer). It
// shows changes word by word, with the findings in them, and trusts none of the texts.
//
// Package definition knows when two definitions differ, finding what a text may do, and
// launch where the decisions are. This package joins them, and tells no running server: the
// caller does.
package review
