// Package lazy delays work that not every start needs until its first use. A start
// executes this binary up to four times, and most of these processes look at no package
// and search for no program.
package lazy

import (
	"regexp"
	"sync"
)

// Pattern returns a function that compiles a regular expression at its first call. That
// call panics if the text does not compile. The function is safe for concurrent use.
func Pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
