// Package explain writes for a person who reviews: a plan (Text), the answer why something is
// allowed (Answer), and what they are asked to trust, the most dangerous first (Evidence). It
// adds nothing to what it explains and trusts none of its texts: control characters in a
// profile's words become visible.
package explain
