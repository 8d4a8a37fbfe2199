// Package explain writes a plan, or the answer why something is allowed, for a person who
// reviews it. It adds nothing to the plan and trusts none of its texts: control characters
// in a profile's words become visible.
package explain
